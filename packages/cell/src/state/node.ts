import { checksum64, EMPTY_BYTES, type OrderedMap } from "@cubby/base";
import { LockMode, NodeKind, type Stat } from "@cubby/protocol";
import type { HandleRecord } from "./handle-record.ts";
import type { LockDelay } from "./lock-delay.ts";

/** What a node is born with and keeps. */
export type NodeBirth = {
  readonly path: string;
  readonly kind: NodeKind;
  readonly parent: Node | undefined;
  readonly isEphemeral: boolean;
  /** META-2: above every number that an earlier node of this name ever showed (GAP-9). */
  readonly generation: number;
};

/** A file or directory (NS-2), with the lock that every node is (NS-6). */
export class Node {
  readonly path: string;
  readonly kind: NodeKind;
  readonly parent: Node | undefined;
  readonly isEphemeral: boolean;

  /** META-2. */
  readonly instance: number;
  contentGeneration: number;
  lockGeneration: number;
  aclGeneration: number;

  /** META-1: names of ACL files; "" when there is none. */
  readAcl = "";
  writeAcl = "";
  changeAcl = "";

  /** By last part of the path; only a directory that has or had children has the map. */
  children: OrderedMap<string, Node> | undefined;

  lockMode: LockMode = LockMode.FREE;
  holderCount = 0;
  /** LCK-7: set while a failed holder's lock stays closed. */
  lockDelay: LockDelay | undefined;

  /**
   * The replicated handles of this node: its holders and its openers. A set because there may be
   * thousands; its order differs between replicas and must never be seen.
   */
  records: Set<HandleRecord> | undefined;
  /** NS-5: handles that keep an ephemeral node alive; always 0 for a permanent one. */
  openerCount = 0;
  /** True once it has been taken out of the tree: HND-3. */
  isDeleted = false;

  #contents: Uint8Array = EMPTY_BYTES;
  #checksum: string | undefined;

  constructor(birth: NodeBirth) {
    this.path = birth.path;
    this.kind = birth.kind;
    this.parent = birth.parent;
    this.isEphemeral = birth.isEphemeral;
    this.instance = birth.generation;
    this.contentGeneration = birth.kind === NodeKind.FILE ? birth.generation : 0;
    this.lockGeneration = birth.generation;
    this.aclGeneration = birth.generation;
  }

  get contents(): Uint8Array {
    return this.#contents;
  }

  /** Copies: the bytes given are a view of a command, which must not stay in memory with them. */
  setContents(contents: Uint8Array): void {
    this.#contents = contents.length === 0 ? EMPTY_BYTES : contents.slice();
    this.#checksum = undefined;
  }

  get childCount(): number {
    return this.children === undefined ? 0 : this.children.size;
  }

  /** What asking for the checksum has to read. */
  get unreadBytes(): number {
    return this.#checksum === undefined ? this.#contents.length : 0;
  }

  /** META-3. Computed when first asked for, as by the Stat in a result; a restored node may never be. */
  get checksum(): string {
    this.#checksum ??= checksum64(this.#contents);
    return this.#checksum;
  }

  /** The greatest generation of this node: the floor for the next node of its name. */
  get highestGeneration(): number {
    return Math.max(this.instance, this.contentGeneration, this.lockGeneration, this.aclGeneration);
  }

  stat(): Stat {
    return {
      kind: this.kind,
      instance: this.instance,
      contentGeneration: this.contentGeneration,
      lockGeneration: this.lockGeneration,
      aclGeneration: this.aclGeneration,
      checksum: this.checksum,
      sizeBytes: this.#contents.length,
      childCount: this.childCount,
      ephemeral: this.isEphemeral,
      lockMode: this.lockMode,
      lockHolders: this.holderCount,
      lockDelayed: this.lockDelay !== undefined,
      readAcl: this.readAcl,
      writeAcl: this.writeAcl,
      changeAcl: this.changeAcl,
    };
  }
}
