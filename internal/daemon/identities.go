package daemon

import (
	"bytes"
	"context"
	"errors"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/qrcode"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// identityService implements the IdentityService.
type identityService struct{ *Daemon }

func viewIdentity(i *rookery.Identity) *apiv1.Identity {
	v := &apiv1.Identity{PublicKey: i.PublicKey().String(), Installation: i.InstallationID(), Name: i.Name(), Retired: i.Retired()}
	if next, ok := i.Successor(); ok {
		v.Successor = next.InstallationID()
	}
	return v
}

// CreateIdentity implements apiv1.IdentityServiceHandler.
func (s identityService) CreateIdentity(ctx context.Context, r *apiv1.CreateIdentityRequest) (*apiv1.CreateIdentityResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	n := rookery.NewIdentity{Name: r.GetName(), Phrase: r.GetPhrase()}
	if len(r.GetPrivateKey()) > 0 {
		n.Key = r.GetPrivateKey()
		defer clear(n.Key)
	}
	i, err := s.engine.CreateIdentity(ctx, n)
	if err != nil {
		return nil, err
	}
	s.hosts(i)
	return &apiv1.CreateIdentityResponse{Identity: viewIdentity(i)}, nil
}

// ListIdentities implements apiv1.IdentityServiceHandler.
func (s identityService) ListIdentities(ctx context.Context, r *apiv1.ListIdentitiesRequest) (*apiv1.ListIdentitiesResponse, error) {
	var response apiv1.ListIdentitiesResponse
	for _, i := range s.hosted(tokenOf(ctx)) {
		v := viewIdentity(i)
		if r.GetWaitingDevices() {
			waiting, err := i.Waiting(ctx)
			if err != nil && !errors.Is(err, rookery.ErrDeleted) { // of one that is being deleted none wait
				return nil, err
			}
			v.WaitingDevices = int32(waiting) //nolint:gosec // a few
		}
		response.Identities = append(response.Identities, v)
	}
	return &response, nil
}

// GetIdentity implements apiv1.IdentityServiceHandler.
func (s identityService) GetIdentity(ctx context.Context, r *apiv1.GetIdentityRequest) (*apiv1.GetIdentityResponse, error) {
	i, err := s.identity(ctx, r.GetIdentity())
	if err != nil {
		return nil, err
	}
	return &apiv1.GetIdentityResponse{Identity: viewIdentity(i)}, nil
}

// DeleteIdentity implements apiv1.IdentityServiceHandler. The handler of the engine is
// freed first, since deleting waits for it. Should deleting fail, the identity takes
// nothing any more until the next start, and can be deleted again.
func (s identityService) DeleteIdentity(ctx context.Context, r *apiv1.DeleteIdentityRequest) (*apiv1.DeleteIdentityResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	i, err := s.identity(ctx, r.GetIdentity()+"/"+r.GetInstallation())
	if err != nil {
		return nil, err
	}
	s.feeds.of(keyOf(i)).end(errGone)
	if err := s.engine.DeleteIdentity(ctx, i.PublicKey(), i.InstallationID()); err != nil {
		return nil, err
	}
	s.forgets(ctx, i)
	return &apiv1.DeleteIdentityResponse{}, nil
}

// GetContactCode implements apiv1.IdentityServiceHandler.
func (s identityService) GetContactCode(ctx context.Context, r *apiv1.GetContactCodeRequest) (*apiv1.GetContactCodeResponse, error) {
	i, err := s.identity(ctx, r.GetIdentity())
	if err != nil {
		return nil, err
	}
	code, err := i.ContactCode(ctx)
	if err != nil {
		return nil, err
	}
	response := &apiv1.GetContactCodeResponse{ContactCode: code}
	if r.GetQrCode() {
		response.QrCodePng, err = picture(code)
	}
	return response, err
}

// picture is the QR code of a text as PNG.
func picture(text string) ([]byte, error) {
	code, err := qrcode.New(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = code.WritePNG(&b)
	return b.Bytes(), err
}
