package transport

import (
	"errors"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/x3dh"
)

func TestAddressTakesApartWhatTheFunctionsName(t *testing.T) {
	key, err := x3dh.NewIdentity([]byte("an identity key of exactly 32 by"))
	if err != nil {
		t.Fatal(err)
	}
	own := key.Public()
	for _, test := range []struct {
		topic Topic
		want  Address
	}{
		{PersonalTopic(own), Address{Kind: KindPersonal, Identity: own}},
		{ContactCodeTopic(own), Address{Kind: KindContactCode, Identity: own}},
		{PublicTopic("a/b public/"), Address{Kind: KindPublic, Chat: "a/b public/"}},
		{PublicTopic(""), Address{Kind: KindPublic}},
		{PublicTopic("personal/" + own.String()), Address{Kind: KindPublic, Chat: "personal/" + own.String()}},
	} {
		if got, err := test.topic.Address(); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", test.topic, got, err, test.want)
		}
	}
}

func TestAddressRefusesEverythingElse(t *testing.T) {
	key, err := x3dh.NewIdentity([]byte("an identity key of exactly 32 by"))
	if err != nil {
		t.Fatal(err)
	}
	own := key.Public().String()
	for _, topic := range []Topic{
		"", "/", "personal", "personal/", "contact-code/", "other/x", Topic(own),
		Topic("Personal/" + own),
		Topic("personal/" + strings.ToUpper(own)),
		Topic("personal/0x" + own),
		Topic("personal/" + own + "00"),
		Topic("personal/" + own[:64]),
		Topic("personal/" + own + "/"),
		Topic("personal/" + own[:65] + "x"),
		Topic("contact-code/05" + own[2:]),
		Topic("contact-code/02" + strings.Repeat("f", 64)), // not on the curve
	} {
		if got, err := topic.Address(); !errors.Is(err, ErrTopic) || got != (Address{}) {
			t.Errorf("%q: %+v, %v", string(topic), got, err)
		}
	}
}
