package daemon

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/rookery-im/rookery"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// webhookService implements the WebhookService.
type webhookService struct{ *Daemon }

// whom gives the public key of a hosted identity, of whatever installation, if the token
// is for it.
func (s webhookService) whom(ctx context.Context, named string) (rookery.PublicKey, error) {
	text, _, _ := strings.Cut(named, "/")
	key, err := rookery.ParsePublicKey(text)
	if t := tokenOf(ctx); !t.Admin && (err != nil || !t.May(key.String())) {
		return key, errNotFor
	}
	if err != nil {
		return key, fmt.Errorf("identity: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.identities[key]) == 0 {
		return key, errNotHosted
	}
	return key, nil
}

// one gives the webhook that a request names.
func (s webhookService) one(ctx context.Context, identity, id string) (*hook, error) {
	key, err := s.whom(ctx, identity)
	if err != nil {
		return nil, err
	}
	return s.webhooks.find(key, id)
}

// CreateWebhook implements apiv1.WebhookServiceHandler.
func (s webhookService) CreateWebhook(ctx context.Context, r *apiv1.CreateWebhookRequest) (*apiv1.CreateWebhookResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	key, err := s.whom(ctx, r.GetIdentity())
	if err != nil {
		return nil, err
	}
	h, err := s.webhooks.create(ctx, key, r.GetUrl(), r.GetNotices())
	if err != nil {
		return nil, err
	}
	return &apiv1.CreateWebhookResponse{Webhook: h.view(), Secret: h.secret.Text()}, nil
}

// ListWebhooks implements apiv1.WebhookServiceHandler.
func (s webhookService) ListWebhooks(ctx context.Context, r *apiv1.ListWebhooksRequest) (*apiv1.ListWebhooksResponse, error) {
	var of *rookery.PublicKey
	if r.GetIdentity() != "" || !tokenOf(ctx).Admin {
		key, err := s.whom(ctx, r.GetIdentity())
		if err != nil {
			return nil, err
		}
		of = &key
	}
	var response apiv1.ListWebhooksResponse
	for _, h := range s.webhooks.sorted(of) {
		response.Webhooks = append(response.Webhooks, h.view())
	}
	return &response, nil
}

// ResumeWebhook implements apiv1.WebhookServiceHandler.
func (s webhookService) ResumeWebhook(ctx context.Context, r *apiv1.ResumeWebhookRequest) (*apiv1.ResumeWebhookResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	h, err := s.one(ctx, r.GetIdentity(), r.GetId())
	if err != nil {
		return nil, err
	}
	if err := s.webhooks.resume(ctx, h); err != nil {
		return nil, err
	}
	return &apiv1.ResumeWebhookResponse{Webhook: h.view()}, nil
}

// DeleteWebhook implements apiv1.WebhookServiceHandler.
func (s webhookService) DeleteWebhook(ctx context.Context, r *apiv1.DeleteWebhookRequest) (*apiv1.DeleteWebhookResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	h, err := s.one(ctx, r.GetIdentity(), r.GetId())
	if err != nil {
		return nil, err
	}
	return &apiv1.DeleteWebhookResponse{}, s.webhooks.remove(ctx, h, r.GetDiscardDeadLetters())
}

// ListDeadLetters implements apiv1.WebhookServiceHandler.
func (s webhookService) ListDeadLetters(ctx context.Context, r *apiv1.ListDeadLettersRequest) (*apiv1.ListDeadLettersResponse, error) {
	h, err := s.one(ctx, r.GetIdentity(), r.GetId())
	if err != nil {
		return nil, err
	}
	size := int(cmp.Or(r.GetPageSize(), lettersPerPage))
	if size < 0 || size > maxPerPage {
		return nil, fmt.Errorf("%w: %d dead letters", errPage, size)
	}
	letters, next, err := s.webhooks.page(ctx, h, size, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &apiv1.ListDeadLettersResponse{DeadLetters: letters, NextPageToken: next}, nil
}

// lettersPerPage is how many dead letters a page has.
const lettersPerPage = 100

// RedeliverDeadLetters implements apiv1.WebhookServiceHandler.
func (s webhookService) RedeliverDeadLetters(ctx context.Context, r *apiv1.RedeliverDeadLettersRequest) (*apiv1.RedeliverDeadLettersResponse, error) {
	h, err := s.one(ctx, r.GetIdentity(), r.GetId())
	if err != nil {
		return nil, err
	}
	letters, err := chosen(h, r.GetEventIds(), r.GetAll())
	if err != nil {
		return nil, err
	}
	return s.webhooks.redeliver(ctx, h, letters, s.options.RequestTimeout/2)
}

// DropDeadLetters implements apiv1.WebhookServiceHandler.
func (s webhookService) DropDeadLetters(ctx context.Context, r *apiv1.DropDeadLettersRequest) (*apiv1.DropDeadLettersResponse, error) {
	h, err := s.one(ctx, r.GetIdentity(), r.GetId())
	if err != nil {
		return nil, err
	}
	if err := h.take(ctx, s.stopping); err != nil {
		return nil, err
	}
	defer h.give()
	letters, err := chosen(h, r.GetEventIds(), r.GetAll())
	if err != nil {
		return nil, err
	}
	return &apiv1.DropDeadLettersResponse{Dropped: int64(len(letters))}, s.webhooks.drop(ctx, h, letters)
}
