package envelopes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/transport/envelope"
	"github.com/rookery-im/rookery/x3dh"
)

// dataSize is in bytes.
const dataSize = 1024

// onCurve is the name of what everything here stands beside.
const onCurve = "its work on the curve"

// Comparisons are everything that this package measures, by processor time. Of the
// numbers of hosted identities those are left out that are more than most.
func Comparisons(o Options) []measure.Comparison {
	all := []measure.Comparison{
		comparison("seal-symmetric", "seal under the key of a topic", func(p *people) (measure.Way, measure.Way) {
			return p.each(func() error { _, err := envelope.SealSymmetric(rand.Reader, &p.topic, &p.alice, p.data); return err }),
				p.curve((*people).sign)
		}),
		comparison("seal", "seal for an identity", func(p *people) (measure.Way, measure.Way) {
			return p.each(func() error { _, err := envelope.SealFor(rand.Reader, p.bob.Public(), &p.alice, p.data); return err }),
				p.curve((*people).sign, (*people).draw, (*people).multiply)
		}),
		comparison("open-symmetric", "open with the key of a topic", func(p *people) (measure.Way, measure.Way) {
			return p.each(func() error { _, err := envelope.OpenSymmetric(&p.topic, p.symmetric); return err }),
				p.curve((*people).recover)
		}),
		comparison("open", "open as the identity it is for", func(p *people) (measure.Way, measure.Way) {
			return p.each(func() error { _, err := envelope.OpenWith(&p.bob, p.sealed); return err }),
				p.curve((*people).multiply, (*people).recover)
		}),
	}
	for _, hosted := range o.Hosted {
		all = append(all, foreign(o, hosted))
	}
	return all
}

// comparison is of envelopes of 1 KiB.
func comparison(id, title string, ways func(*people) (own, floor measure.Way)) measure.Comparison {
	return measure.Comparison{
		ID: id, Title: title, Basis: measure.Processor,
		Open: func(context.Context) (measure.Opened, error) {
			p, err := newPeople()
			if err != nil {
				return measure.Opened{}, err
			}
			own, floor := ways(p)
			return measure.Opened{Ways: []measure.Way{own, floor}}, nil
		},
	}
}

// people are a sender, a recipient, and an envelope of each kind.
type people struct {
	alice, bob        x3dh.IdentityKey
	topic             secret.Key
	data              []byte
	symmetric, sealed []byte

	key       curve.PrivateKey
	point     curve.Point
	digest    [32]byte
	signature curve.Signature
}

func newPeople() (*people, error) {
	p := &people{data: make([]byte, dataSize)}
	errs := make([]error, 8)
	p.alice, errs[0] = x3dh.GenerateIdentity(rand.Reader)
	p.bob, errs[1] = x3dh.GenerateIdentity(rand.Reader)
	p.topic, errs[2] = secret.ReadKey(rand.Reader)
	p.key, errs[3] = curve.GenerateKey(rand.Reader)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.symmetric, errs[4] = envelope.SealSymmetric(rand.Reader, &p.topic, &p.alice, p.data)
	p.sealed, errs[5] = envelope.SealFor(rand.Reader, p.bob.Public(), &p.alice, p.data)
	p.point, errs[6] = p.key.Public().Point()
	p.signature, errs[7] = p.key.Sign(p.digest)
	return p, errors.Join(errs...)
}

func (p *people) each(op func() error) measure.Way { return measure.Each(measure.Rookery, op) }

// curve is the way of the operations on the curve alone.
func (p *people) curve(ops ...func(*people) error) measure.Way {
	return measure.Each(onCurve, func() error {
		for _, op := range ops {
			if err := op(p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *people) sign() error     { _, err := p.key.Sign(p.digest); return err }
func (p *people) draw() error     { _, err := curve.GenerateKey(rand.Reader); return err }
func (p *people) multiply() error { _, err := p.key.DHPoint(&p.point); return err }
func (p *people) recover() error  { _, err := curve.Recover(p.digest, p.signature); return err }

func foreignTitle(hosted int) string {
	if hosted == 1 {
		return "an envelope for somebody else, 1 identity hosted"
	}
	return fmt.Sprintf("an envelope for somebody else, %d identities hosted", hosted)
}
