package daemon

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/rookery-im/rookery"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// maxMembers bounds one request to a group.
const maxMembers = 1000

// messageService implements the MessageService.
type messageService struct{ *Daemon }

func viewReceipt(r rookery.Receipt) *apiv1.Receipt {
	v := &apiv1.Receipt{MessageId: r.ID.String(), ForwardSecrecy: r.ForwardSecrecy}
	for _, id := range r.Installations {
		v.Installations = append(v.Installations, printable(id))
	}
	for _, f := range r.Failed {
		v.Failed = append(v.Failed, &apiv1.FailedInstallation{Installation: printable(f.Installation), Reason: printable(f.Err.Error())})
	}
	return v
}

// Send implements apiv1.MessageServiceHandler.
func (s messageService) Send(ctx context.Context, r *apiv1.SendRequest) (*apiv1.SendResponse, error) {
	i, err := s.identity(ctx, r.GetIdentity())
	if err != nil {
		return nil, err
	}
	to, err := contact(r.GetTo())
	if err != nil {
		return nil, err
	}
	var receipt rookery.Receipt
	if key := r.GetIdempotencyKey(); key != "" {
		receipt, err = i.SendOnce(ctx, key, to, r.GetPayload())
	} else {
		receipt, err = i.Send(ctx, to, r.GetPayload())
	}
	if err != nil {
		return nil, err
	}
	return &apiv1.SendResponse{Receipt: viewReceipt(receipt)}, nil
}

// SendGroup implements apiv1.MessageServiceHandler.
func (s messageService) SendGroup(ctx context.Context, r *apiv1.SendGroupRequest) (*apiv1.SendGroupResponse, error) {
	i, err := s.identity(ctx, r.GetIdentity())
	if err != nil {
		return nil, err
	}
	if len(r.GetMembers()) > maxMembers {
		return nil, fmt.Errorf("%w: %d members, at most %d", errTooMany, len(r.GetMembers()), maxMembers)
	}
	members := make([]rookery.PublicKey, len(r.GetMembers()))
	for n, text := range r.GetMembers() {
		if members[n], err = contact(text); err != nil {
			return nil, err
		}
	}
	var receipts []rookery.GroupReceipt
	if key := r.GetIdempotencyKey(); key != "" {
		receipts = i.SendGroupOnce(ctx, key, members, r.GetPayload())
	} else {
		receipts = i.SendGroup(ctx, members, r.GetPayload())
	}
	var response apiv1.SendGroupResponse
	for _, one := range receipts {
		result := &apiv1.MemberResult{Member: one.Member.String()}
		if one.Err == nil {
			result.Receipt = viewReceipt(one.Receipt)
		} else {
			told, unforeseen := status(one.Err)
			d := s.Daemon
			d.unforeseen(ctx, unforeseen)
			result.Error, result.Code = told.Message(), told.Code().String()
		}
		response.Results = append(response.Results, result)
	}
	return &response, nil
}

// AwaitTaken implements apiv1.MessageServiceHandler.
func (s messageService) AwaitTaken(ctx context.Context, r *apiv1.AwaitTakenRequest) (*apiv1.AwaitTakenResponse, error) {
	i, err := s.identity(ctx, r.GetIdentity())
	if err != nil {
		return nil, err
	}
	to, err := contact(r.GetTo())
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(r.GetMessageId())
	if err != nil || len(raw) != len(rookery.MessageID{}) {
		return nil, errMessageID
	}
	ctx, cancel := s.untilStopping(ctx)
	defer cancel(nil)
	if err := i.AwaitTaken(ctx, to, rookery.MessageID(raw)); err != nil {
		return nil, errorsCause(ctx, err)
	}
	return &apiv1.AwaitTakenResponse{}, nil
}

// untilStopping is a context that also ends when the daemon shuts down.
func (d *Daemon) untilStopping(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-d.stopping:
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// errorsCause is why a context has ended, if that is what an error comes from.
func errorsCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
