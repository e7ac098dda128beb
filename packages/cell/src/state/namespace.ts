import { assert, EMPTY_BYTES, OrderedMap, utf8Length } from "@cubby/base";
import { baseName, cellRoot, NodeKind, parentOf } from "@cubby/protocol";
import type { LockDelay } from "./lock-delay.ts";
import { Node } from "./node.ts";

/** The tree of nodes under `/ls/<cell>` (NS-1, NS-2). Every look-up is by the whole path (NS-3). */
export class Namespace {
  readonly root: Node;
  /** Never iterated: its order is not the same on all replicas. */
  readonly #nodes = new Map<string, Node>();
  /**
   * META-5, GAP-9: every node starts above this number, which is raised to what a node had reached
   * when it is deleted. So generations never go down for a name, and deleted names cost nothing.
   */
  generationCounter = 1;
  /** Of the names and contents of all nodes but the root, and of names that are in delay without one. */
  sizeBytes = 0;
  /** Lock-delay belongs to the name: what a node left that was deleted in delay. */
  readonly delayMarkers = new OrderedMap<string, LockDelay>();

  constructor(cellName: string) {
    this.root = new Node({
      path: cellRoot(cellName),
      kind: NodeKind.DIRECTORY,
      parent: undefined,
      isEphemeral: false,
      generation: 1,
    });
    this.#nodes.set(this.root.path, this.root);
  }

  get size(): number {
    return this.#nodes.size;
  }

  get(path: string): Node | undefined {
    return this.#nodes.get(path);
  }

  /** The node that a handle is bound to; undefined once that instance is gone (HND-3). */
  getInstance(path: string, instance: number): Node | undefined {
    const node = this.#nodes.get(path);
    return node !== undefined && node.instance === instance ? node : undefined;
  }

  /** The directory that a node at `path` would be in. */
  parentFor(path: string): Node | undefined {
    const parent = parentOf(path);
    return parent === undefined ? undefined : this.#nodes.get(parent);
  }

  create(path: string, kind: NodeKind, parent: Node, isEphemeral: boolean): Node {
    assert(!this.#nodes.has(path), "one name is one node");
    assert(parent.kind === NodeKind.DIRECTORY, "nodes are in directories");
    this.generationCounter += 1;
    const node = new Node({
      path,
      kind,
      parent,
      isEphemeral,
      generation: this.generationCounter,
    });
    // ACL-2: inherited at creation only.
    node.readAcl = parent.readAcl;
    node.writeAcl = parent.writeAcl;
    node.changeAcl = parent.changeAcl;
    node.lockDelay = this.delayMarkers.get(path);
    this.forgetDelay(path);
    this.attach(node);
    return node;
  }

  /** Also how a snapshot puts nodes back, parents first. */
  attach(node: Node): void {
    const parent = node.parent;
    assert(parent !== undefined, "the root is never attached");
    parent.children ??= new OrderedMap();
    parent.children.set(baseName(node.path), node);
    this.#nodes.set(node.path, node);
    this.sizeBytes += utf8Length(node.path) + node.contents.length;
  }

  setContents(node: Node, contents: Uint8Array): void {
    this.sizeBytes += contents.length - node.contents.length;
    node.setContents(contents);
  }

  /** Takes a node without children out of the tree; its lock must have been cleared. */
  remove(node: Node): void {
    const parent = node.parent;
    assert(parent !== undefined, "the root is never removed");
    assert(node.childCount === 0, "only an empty directory is removed");
    assert(node.records === undefined, "no handle is left on a removed node");
    this.generationCounter = Math.max(this.generationCounter, node.highestGeneration);
    if (node.lockDelay !== undefined) this.leaveDelay(node.path, node.lockDelay);
    parent.children?.delete(baseName(node.path));
    if (parent.childCount === 0) parent.children = undefined;
    this.#nodes.delete(node.path);
    // Handles may remember the node for long; nobody reads it any more.
    this.setContents(node, EMPTY_BYTES);
    this.sizeBytes -= utf8Length(node.path);
    node.isDeleted = true;
  }

  /** The name has no node, and is remembered all the same: it counts until its delay is over. */
  leaveDelay(path: string, delay: LockDelay): void {
    assert(!this.delayMarkers.has(path), "a name leaves one delay behind");
    this.delayMarkers.set(path, delay);
    this.sizeBytes += utf8Length(path);
  }

  forgetDelay(path: string): void {
    if (this.delayMarkers.delete(path)) this.sizeBytes -= utf8Length(path);
  }

  /** Sorted by path, so that parents come before their children. */
  sortedPaths(): string[] {
    return [...this.#nodes.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  /** Names whose lock is in delay, on a node or on what it left behind. */
  sortedPathsInDelay(): string[] {
    const paths = [...this.delayMarkers.keys()];
    for (const [path, node] of this.#nodes) if (node.lockDelay !== undefined) paths.push(path);
    return paths.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  /** The delay of a name, on its node or left behind by it. */
  delayOf(path: string): LockDelay | undefined {
    const node = this.#nodes.get(path);
    return node === undefined ? this.delayMarkers.get(path) : node.lockDelay;
  }
}
