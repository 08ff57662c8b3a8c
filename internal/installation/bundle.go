package installation

import (
	"context"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// Bundle gives our bundle as it is shown at the time now; its prekeys are
// durable.
func (i *Installation) Bundle(ctx context.Context, now int64) (wire.Bundle, error) {
	return i.renew(ctx, bundleactor.Asked, now)
}

// renew does what is due for our prekeys and bundle, and gives the bundle.
func (i *Installation) renew(ctx context.Context, why bundleactor.Reason, now int64) (wire.Bundle, error) {
	p, err := i.published(ctx, why, now)
	return p.Bundle, err
}

// published is renew, and says how long the bundle is good.
func (i *Installation) published(ctx context.Context, why bundleactor.Reason, now int64) (bundleactor.Published, error) {
	state, err := i.keys(ctx)
	if err != nil {
		return bundleactor.Published{}, err
	}
	own, err := i.contact(ctx, i.config.View.Own)
	if err != nil {
		return bundleactor.Published{}, err
	}
	by := bundleactor.Installation{Identity: i.config.Key, ID: i.config.View.Installation, Schedule: i.config.Schedule}
	next, change, err := state.Renew(by, own.Siblings(), why, now, i.config.Random)
	if err != nil {
		return bundleactor.Published{}, err
	}
	records, err := next.Records(i.owner, change)
	if err != nil {
		return bundleactor.Published{}, err
	}
	err = i.commit(ctx, &step{records: records, keep: []func(){func() {
		i.bundle = &next
		if !change.Empty() {
			i.endLeases()
		}
	}}})
	return next.Published(i.config.Schedule), err
}

// keys are our prekeys and what was published of them.
func (i *Installation) keys(ctx context.Context) (*bundleactor.State, error) {
	if i.bundle == nil {
		state, err := bundleactor.Load(ctx, i.config.Store, i.owner)
		if err != nil {
			return nil, unavailable(err)
		}
		i.bundle = &state
	}
	return i.bundle, nil
}

// announce publishes our contact code if that is due.
func (i *Installation) announce(ctx context.Context, now int64) error {
	state, err := i.keys(ctx)
	if err != nil {
		return err
	}
	i.started = min(i.started, now)
	if !state.AnnounceDue(i.config.Schedule, i.owner, i.started, now) {
		_, err := i.renew(ctx, bundleactor.Swept, now)
		return err
	}
	bundle, err := i.renew(ctx, bundleactor.Announced, now)
	if err != nil {
		return err
	}
	message := wire.Message{InstallationID: i.config.View.Installation, Bundles: []wire.Bundle{bundle}}
	i.publish(transport.ContactCodeTopic(i.config.View.Own), message.Encode())
	return nil
}
