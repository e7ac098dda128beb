import type { Rng } from "@cubby/base";
import { pick } from "./plan.ts";

type LinkPair = readonly [number, number];

/**
 * Partial connectivity (reliability N4 and §6): which pairs of replicas still reach each other. Half
 * of the time whoever leads stands where it reaches the fewest.
 */
export function drawTopology(
  rng: Rng,
  replicas: number,
  leader?: number,
): readonly LinkPair[] | undefined {
  if (replicas < 3) return undefined;
  const order = shuffled(rng, replicas);
  if (leader !== undefined && rng.chance(0.5)) {
    order.push(...order.splice(order.indexOf(leader), 1));
  }
  const shapes = [quorumLoss, chain, constrained];
  if (replicas === 5) shapes.push(howardAbraham);
  return pick(rng, shapes)(order);
}

/** Everybody reaches the hub, and the hub alone. */
function quorumLoss([hub = 1, ...others]: readonly number[]): readonly LinkPair[] {
  return others.map((other) => [hub, other] as const);
}

function chain(order: readonly number[]): readonly LinkPair[] {
  return order.slice(1).map((each, i) => [order[i] ?? 1, each] as const);
}

/** The last is cut off; only the first reaches all the others. */
function constrained(order: readonly number[]): readonly LinkPair[] {
  return quorumLoss(order.slice(0, -1));
}

/** Three see each other; each of the other two sees one of them. */
function howardAbraham([
  a = 1,
  b = 2,
  c = 3,
  d = 4,
  e = 5,
]: readonly number[]): readonly LinkPair[] {
  return [
    [a, b],
    [b, c],
    [a, c],
    [d, b],
    [e, c],
  ];
}

function shuffled(rng: Rng, count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i + 1);
  for (let i = count - 1; i > 0; i -= 1) {
    const j = rng.below(i + 1);
    const held = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = held;
  }
  return order;
}

export function quorumOf(replicas: number): number {
  return Math.floor(replicas / 2) + 1;
}

/** How many others each replica reaches in both directions. */
export function reach(links: readonly LinkPair[], replica: number): number {
  return links.filter(([a, b]) => a === replica || b === replica).length;
}

/** Who reaches the most: where its log is behind, whoever is to lead must learn from the others. */
export function hubOf(links: readonly LinkPair[], replicas: number): number {
  const ids = Array.from({ length: replicas }, (_, i) => i + 1);
  return ids.reduce((best, id) => (reach(links, id) > reach(links, best) ? id : best));
}

/** Both directions of every pair that is not named. */
export function missingLinks(replicas: number, links: readonly LinkPair[]): [number, number][] {
  const kept = new Set(links.flatMap(([a, b]) => [`${a}>${b}`, `${b}>${a}`]));
  const missing: [number, number][] = [];
  for (let a = 1; a <= replicas; a += 1) {
    for (let b = 1; b <= replicas; b += 1) {
      if (a !== b && !kept.has(`${a}>${b}`)) missing.push([a, b]);
    }
  }
  return missing;
}

/** Both directions of every link that a replica has. */
export function linksOf(id: number, replicas: number): [number, number][] {
  const links: [number, number][] = [];
  for (let other = 1; other <= replicas; other += 1) {
    if (other !== id) links.push([id, other], [other, id]);
  }
  return links;
}
