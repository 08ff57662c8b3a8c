package daemon

import (
	"context"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/fingerprint"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
	"github.com/rookery-im/rookery/sessionactor"
)

var outlooks = map[sessionactor.Outlook]apiv1.Outlook{
	sessionactor.NeedsPreKey:      apiv1.Outlook_OUTLOOK_NEEDS_PREKEY,
	sessionactor.NeedsNewerPreKey: apiv1.Outlook_OUTLOOK_NEEDS_NEWER_PREKEY,
	sessionactor.Starts:           apiv1.Outlook_OUTLOOK_STARTS,
	sessionactor.Rekeys:           apiv1.Outlook_OUTLOOK_REKEYS,
	sessionactor.Continues:        apiv1.Outlook_OUTLOOK_CONTINUES,
	sessionactor.Repeats:          apiv1.Outlook_OUTLOOK_REPEATS,
}

var sessionStates = map[sessionactor.Status]apiv1.SessionState{
	sessionactor.Initiated:   apiv1.SessionState_SESSION_STATE_INITIATED,
	sessionactor.Established: apiv1.SessionState_SESSION_STATE_ESTABLISHED,
	sessionactor.Expired:     apiv1.SessionState_SESSION_STATE_EXPIRED,
}

// ExplainContact implements apiv1.ContactServiceHandler.
func (s contactService) ExplainContact(ctx context.Context, r *apiv1.ExplainContactRequest) (*apiv1.ExplainContactResponse, error) {
	i, key, err := s.both(ctx, r.GetIdentity(), r.GetContact())
	if err != nil {
		return nil, err
	}
	x, err := i.Explain(ctx, key)
	if err != nil {
		return nil, err
	}
	if x.FirstSeen == 0 && !x.Blocked {
		return nil, errNoContact
	}
	v := &apiv1.ExplainContactResponse{
		Contact: viewContact(x.Contact), SafetyNumber: fingerprint.SafetyNumber(i.PublicKey(), key),
		Unsent: int32(x.Unsent), Unacknowledged: int32(x.Unacknowledged), //nolint:gosec // at most MaxCounted
	}
	for n, in := range x.Installations {
		v.Devices = append(v.Devices, explainDevice(in, x.Sessions[n]))
	}
	return v, nil
}

func explainDevice(in deviceactor.Installation, with deviceactor.ExplainedSessions) *apiv1.DeviceExplanation {
	d := &apiv1.DeviceExplanation{Installation: printable(in.ID), Outlook: outlooks[with.Outlook]}
	if e := in.Entry; !e.IsZero() {
		d.Prekey = &apiv1.PreKey{
			Version: e.Version, SignedUnixMs: milliseconds(e.Timestamp),
			BySibling: e.BySibling, UsableUntilUnixMs: milliseconds(e.UsableUntil()),
		}
	}
	for _, s := range with.Summaries {
		d.Sessions = append(d.Sessions, &apiv1.Session{
			Id: s.ID.String(), State: sessionStates[s.Status], InUse: s.InUse, StartedByUs: s.Initiator, CreatedUnixMs: milliseconds(s.Created),
			SkippedKeys: int32(s.Skipped), DeletedUnixMs: milliseconds(s.DeletedAt), //nolint:gosec // a few thousand
		})
	}
	return d
}
