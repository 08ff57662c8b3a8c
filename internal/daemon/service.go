package daemon

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"filippo.io/age"

	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// daemonService implements the DaemonService.
type daemonService struct{ *Daemon }

// GetHealth implements apiv1.DaemonServiceHandler.
func (s daemonService) GetHealth(ctx context.Context, _ *apiv1.GetHealthRequest) (*apiv1.GetHealthResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	health, known := s.engine.Health()
	if !known {
		return &apiv1.GetHealthResponse{}, nil
	}
	network := health.Carrier
	v := &apiv1.GetHealthResponse{Known: true, Ready: network.Ready, Peers: int32(network.Peers)} //nolint:gosec // a count
	if !network.Since.IsZero() {
		v.SinceUnixMs = network.Since.UnixMilli()
	}
	if network.Err != nil {
		v.Detail = printable(network.Err.Error())
	}
	return v, nil
}

// backupPiece is how much of a backup goes into one message of the stream, in bytes.
const backupPiece = 64 << 10

// Backup implements apiv1.DaemonServiceHandler.
func (s daemonService) Backup(ctx context.Context, r *apiv1.BackupRequest, stream *connect.ServerStream[apiv1.BackupResponse]) error {
	if err := administrator(ctx); err != nil {
		return err
	}
	var recipients []age.Recipient
	for _, text := range r.GetRecipients() {
		one, err := age.ParseX25519Recipient(text)
		if err != nil {
			return fmt.Errorf("%w: %w", errRecipients, err)
		}
		recipients = append(recipients, one)
	}
	if len(recipients) == 0 {
		return errRecipients
	}
	ctx, cancel := s.untilStopping(ctx)
	defer cancel(nil)
	out := &pieces{stream: stream}
	if _, err := s.engine.Backup(ctx, out, recipients...); err != nil {
		return errorsCause(ctx, err)
	}
	return out.flush()
}

// pieces is a writer to a stream of pieces.
type pieces struct {
	stream *connect.ServerStream[apiv1.BackupResponse]
	next   []byte
}

// Write implements io.Writer.
func (p *pieces) Write(b []byte) (int, error) {
	p.next = append(p.next, b...)
	if len(p.next) < backupPiece {
		return len(b), nil
	}
	return len(b), p.flush()
}

func (p *pieces) flush() error {
	if len(p.next) == 0 {
		return nil
	}
	err := p.stream.Send(&apiv1.BackupResponse{Data: p.next})
	p.next = p.next[:0]
	return err
}
