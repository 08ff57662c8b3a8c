// What the causes mean, as docs/metrics.md says at more length.

const state = "state was lost on one side; it is mended with the next message";
const limit = "over a bound for what a peer may have here";
const repeated = "came before; networks repeat, some are normal";
const malformed = "cannot be decoded, or contradicts itself";
const wanted = "the user wants it so";
const disk = "the disk";

export const causes = {
  forged: "authentic under no session that it could belong to",
  duplicate: repeated, replayed: repeated, unknown_ratchet_key: repeated,
  cloned: "two copies of one installation are at work",
  no_session: state, unknown_prekey: state,
  too_many_skipped: limit, too_many_sessions: limit, too_many_installations: limit,
  malformed, headers: malformed, unsupported: malformed, public_key: malformed,
  untrusted_bundle: "its bundle is not well signed",
  not_targeted: "its sender does not know this installation yet, and is told",
  denied: wanted, blocked: wanted, not_approved: wanted,
  no_target: "nobody to send to", stale_prekey: "only a prekey that is too old",
  payload_size: "the caller's error", retired: "the caller's error",
  overloaded: "over a bound on what is under way",
  store_full: disk, not_durable: disk, unavailable: disk,
  stopped: "the engine was closing",
  quarantined: "a bug: the log has the stack",
  other: "none of the others",
};
