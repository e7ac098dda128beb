/** What happened, for logs, metrics and tests. Carrying it out is optional. */
export type TraceEvent =
  | { readonly kind: "epochBegun"; readonly clientEpoch: number; readonly masterId: number }
  | { readonly kind: "serving"; readonly clientEpoch: number; readonly sessions: number }
  | { readonly kind: "deposed"; readonly proposed: number; readonly waiting: number }
  | { readonly kind: "gateOpened"; readonly clientEpoch: number }
  | { readonly kind: "sessionBegun"; readonly sessionId: number; readonly clientName: string }
  | { readonly kind: "sessionEnded"; readonly sessionId: number }
  | { readonly kind: "expiryDecided"; readonly sessionId: number }
  | { readonly kind: "lockDelayBegun"; readonly path: string; readonly lengthMs: number }
  | { readonly kind: "stretched"; readonly stretchMs: number }
  | { readonly kind: "timeMoved"; readonly byMs: number }
  | { readonly kind: "commandRefused"; readonly index: number; readonly reason: string };
