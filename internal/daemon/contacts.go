package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

const (
	// contactsPerPage is how many contacts a page has, maxPerPage how many it may have.
	contactsPerPage = 100
	maxPerPage      = 1000
)

// contactService implements the ContactService.
type contactService struct{ *Daemon }

var standings = map[deviceactor.Standing]apiv1.Standing{
	deviceactor.Stranger:  apiv1.Standing_STANDING_STRANGER,
	deviceactor.Requested: apiv1.Standing_STANDING_REQUESTED,
	deviceactor.Accepted:  apiv1.Standing_STANDING_ACCEPTED,
}

func viewContact(c deviceactor.Contact) *apiv1.Contact {
	return &apiv1.Contact{
		PublicKey: c.Identity.String(), Standing: standings[c.Standing], Blocked: c.Blocked,
		ForwardSecrecy: c.ForwardSecrecy, FirstSeenUnixMs: milliseconds(c.FirstSeen), Devices: viewDevices(c),
	}
}

func viewDevices(c deviceactor.Contact) []*apiv1.Device {
	var all []*apiv1.Device
	for _, in := range c.Installations {
		all = append(all, &apiv1.Device{
			Installation: printable(in.ID), Enabled: in.Enabled, Denied: in.Denied, Stale: in.Stale,
			FirstSeenUnixMs: milliseconds(in.FirstSeen), ActiveUnixMs: milliseconds(in.Active),
		})
	}
	return all
}

// contact reads a public key.
func contact(text string) (rookery.PublicKey, error) {
	key, err := rookery.ParsePublicKey(text)
	if err != nil {
		return key, fmt.Errorf("contact: %w", err)
	}
	return key, nil
}

// both gives whose and which contact a request is about.
func (s contactService) both(ctx context.Context, identity, other string) (*rookery.Identity, rookery.PublicKey, error) {
	i, err := s.identity(ctx, identity)
	if err != nil {
		return nil, rookery.PublicKey{}, err
	}
	key, err := contact(other)
	return i, key, err
}

// ListContacts implements apiv1.ContactServiceHandler.
func (s contactService) ListContacts(ctx context.Context, r *apiv1.ListContactsRequest) (*apiv1.ListContactsResponse, error) {
	i, err := s.identity(ctx, r.GetIdentity())
	if err != nil {
		return nil, err
	}
	size := int(cmp.Or(r.GetPageSize(), contactsPerPage))
	if size < 0 || size > maxPerPage {
		return nil, fmt.Errorf("%w: %d contacts", errPage, size)
	}
	if r.GetPageToken() != "" {
		if _, err := rookery.ParsePublicKey(r.GetPageToken()); err != nil {
			return nil, errPage
		}
	}
	var response apiv1.ListContactsResponse
	for c, err := range i.Contacts(ctx) {
		if err != nil {
			return nil, err
		}
		if c.Identity.String() <= r.GetPageToken() {
			continue
		}
		if len(response.GetContacts()) == size {
			response.NextPageToken = response.GetContacts()[size-1].GetPublicKey()
			break
		}
		response.Contacts = append(response.Contacts, viewContact(c))
	}
	return &response, nil
}

// known gives a contact of which something is known.
func known(ctx context.Context, i *rookery.Identity, key rookery.PublicKey) (deviceactor.Contact, error) {
	c, err := i.Contact(ctx, key)
	if err == nil && c.FirstSeen == 0 && !c.Blocked {
		err = errNoContact
	}
	return c, err
}

// GetContact implements apiv1.ContactServiceHandler.
func (s contactService) GetContact(ctx context.Context, r *apiv1.GetContactRequest) (*apiv1.GetContactResponse, error) {
	i, key, err := s.both(ctx, r.GetIdentity(), r.GetContact())
	if err != nil {
		return nil, err
	}
	c, err := known(ctx, i, key)
	if err != nil {
		return nil, err
	}
	return &apiv1.GetContactResponse{Contact: viewContact(c)}, nil
}

// AddContact implements apiv1.ContactServiceHandler.
func (s contactService) AddContact(ctx context.Context, r *apiv1.AddContactRequest) (*apiv1.AddContactResponse, error) {
	i, err := s.identity(ctx, r.GetIdentity())
	if err != nil {
		return nil, err
	}
	var key rookery.PublicKey
	switch whom := r.GetWhom().(type) {
	case *apiv1.AddContactRequest_PublicKey:
		if key, err = contact(whom.PublicKey); err == nil {
			err = i.AddContact(ctx, key)
		}
	case *apiv1.AddContactRequest_ContactCode:
		key, err = i.TakeContactCode(ctx, whom.ContactCode)
	default:
		err = errNobody
	}
	if err != nil {
		return nil, err
	}
	c, err := i.Contact(ctx, key)
	if err != nil {
		return nil, err
	}
	return &apiv1.AddContactResponse{Contact: viewContact(c)}, nil
}

// AcceptContact implements apiv1.ContactServiceHandler.
func (s contactService) AcceptContact(ctx context.Context, r *apiv1.AcceptContactRequest) (*apiv1.AcceptContactResponse, error) {
	i, key, err := s.both(ctx, r.GetIdentity(), r.GetContact())
	if err != nil {
		return nil, err
	}
	return &apiv1.AcceptContactResponse{}, i.Accept(ctx, key)
}

// ForgetContact implements apiv1.ContactServiceHandler.
func (s contactService) ForgetContact(ctx context.Context, r *apiv1.ForgetContactRequest) (*apiv1.ForgetContactResponse, error) {
	i, key, err := s.both(ctx, r.GetIdentity(), r.GetContact())
	if err != nil {
		return nil, err
	}
	f := s.feeds.of(keyOf(i))
	newest := f.newest() // by then: the contact may write again before we are told
	err = i.Deny(ctx, key)
	if err != nil && !errors.Is(err, cause.ErrNoRequest) {
		return nil, err
	}
	if err == nil {
		f.forget(key.String(), newest) // they are out of the inbox
	}
	// Also of a contact of which the engine knows nothing: it may have been forgotten by a
	// call that ended before it came here.
	letters, erased := s.webhooks.forgetContact(ctx, keyOf(i), key.String())
	if erased != nil {
		return nil, erased
	}
	if err != nil && letters == 0 {
		return nil, err
	}
	return &apiv1.ForgetContactResponse{}, nil
}

// BlockContact implements apiv1.ContactServiceHandler.
func (s contactService) BlockContact(ctx context.Context, r *apiv1.BlockContactRequest) (*apiv1.BlockContactResponse, error) {
	i, key, err := s.both(ctx, r.GetIdentity(), r.GetContact())
	if err != nil {
		return nil, err
	}
	return &apiv1.BlockContactResponse{}, i.Block(ctx, key)
}

// UnblockContact implements apiv1.ContactServiceHandler.
func (s contactService) UnblockContact(ctx context.Context, r *apiv1.UnblockContactRequest) (*apiv1.UnblockContactResponse, error) {
	i, key, err := s.both(ctx, r.GetIdentity(), r.GetContact())
	if err != nil {
		return nil, err
	}
	return &apiv1.UnblockContactResponse{}, i.Unblock(ctx, key)
}

// whose gives whose devices a request is about.
func (s contactService) whose(ctx context.Context, identity, other string) (*rookery.Identity, rookery.PublicKey, error) {
	i, err := s.identity(ctx, identity)
	if err != nil || other == "" {
		if err == nil {
			return i, i.PublicKey(), nil
		}
		return nil, rookery.PublicKey{}, err
	}
	key, err := contact(other)
	return i, key, err
}

// ListDevices implements apiv1.ContactServiceHandler.
func (s contactService) ListDevices(ctx context.Context, r *apiv1.ListDevicesRequest) (*apiv1.ListDevicesResponse, error) {
	i, key, err := s.whose(ctx, r.GetIdentity(), r.GetContact())
	if err != nil {
		return nil, err
	}
	c, err := i.Contact(ctx, key)
	if err != nil {
		return nil, err
	}
	return &apiv1.ListDevicesResponse{Devices: viewDevices(c)}, nil
}

// ApproveDevice implements apiv1.ContactServiceHandler.
func (s contactService) ApproveDevice(ctx context.Context, r *apiv1.ApproveDeviceRequest) (*apiv1.ApproveDeviceResponse, error) {
	i, key, err := s.whose(ctx, r.GetIdentity(), r.GetContact())
	if err != nil {
		return nil, err
	}
	return &apiv1.ApproveDeviceResponse{}, i.Approve(ctx, key, r.GetInstallation())
}

// DenyDevice implements apiv1.ContactServiceHandler.
func (s contactService) DenyDevice(ctx context.Context, r *apiv1.DenyDeviceRequest) (*apiv1.DenyDeviceResponse, error) {
	i, key, err := s.whose(ctx, r.GetIdentity(), r.GetContact())
	if err != nil {
		return nil, err
	}
	return &apiv1.DenyDeviceResponse{}, i.Disable(ctx, key, r.GetInstallation())
}
