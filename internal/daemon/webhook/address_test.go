package webhook

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestURLsOfEndpoints(t *testing.T) {
	for text, want := range map[string]error{
		"https://example.org/hook?key=x":           nil,
		"https://example.org:8443":                 nil,
		"https://[2606:4700::1111]/":               nil,
		"http://localhost:8080/hook":               nil,
		"http://127.0.0.1/":                        nil,
		"http://[::1]:9/":                          nil,
		"https://127.9.9.9/":                       nil,
		"http://example.org/":                      ErrURL,
		"http://localhost.example.org/":            ErrURL,
		"http://localhost./":                       ErrURL,
		"ftp://example.org/":                       ErrURL,
		"file:///etc/passwd":                       ErrURL,
		"https:///x":                               ErrURL,
		"https:example.org":                        ErrURL,
		"//example.org":                            ErrURL,
		"":                                         ErrURL,
		"https://user:password@example.org/":       ErrURL,
		"https://example.org/#fragment":            ErrURL,
		"https://example.org:0/":                   ErrURL,
		"https://example.org:65536/":               ErrURL,
		"https://example.org/\n":                   ErrURL,
		"https://" + strings.Repeat("a", MaxURL):   ErrURL,
		"https://10.0.0.1/":                        ErrAddress,
		"https://169.254.169.254/latest/meta-data": ErrAddress,
		"https://[fe80::1%25eth0]/":                ErrAddress,
		"https://[::ffff:192.168.1.1]/":            ErrAddress,
		"https://0.0.0.0/":                         ErrAddress,
		"https://[::]/":                            ErrAddress,
	} {
		if err := (Reach{}).Check(text); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	if err := (Reach{Insecure: true}).Check("http://example.org/"); err != nil {
		t.Error(err)
	}
	if err := (Reach{Insecure: true}).Check("http://10.0.0.1/"); !errors.Is(err, ErrAddress) {
		t.Errorf("got %v", err)
	}
	if err := (Reach{Allowed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}).Check("https://10.0.0.1/"); err != nil {
		t.Error(err)
	}
}

// What counts is the address that is dialed, whatever its name was resolved to before.
func TestDialedAddressHasToBePublic(t *testing.T) {
	dial := func(r Reach, host, address string) error { return r.control(host)("tcp", address, nil) }
	for _, address := range []string{
		"127.0.0.1:443", "[::1]:443", "[::ffff:127.0.0.1]:443", "10.1.2.3:443", "172.16.0.1:443", "172.31.255.255:443", "192.168.0.1:443",
		"169.254.169.254:80", "100.64.0.1:443", "0.0.0.0:443", "0.1.2.3:443", "192.0.0.8:443", "192.0.2.1:443", "198.18.0.1:443", "198.51.100.1:443",
		"203.0.113.1:443", "224.0.0.1:443", "240.0.0.1:443", "255.255.255.255:443", "192.88.99.1:443",
		"[::]:443", "[fe80::1%eth0]:443", "[fc00::1]:443", "[fd12::1]:443", "[ff02::1]:443", "[fec0::1]:443", "[64:ff9b::7f00:1]:443", "[64:ff9b:1::1]:443",
		"[2002:7f00:1::]:443", "[2001::1]:443", "[2001:db8::1]:443", "[100::1]:443", "[5f00::1]:443", "[::7f00:1]:443", "[3fff::1]:443", "nonsense",
	} {
		if err := dial(Reach{}, "rebinding.example", address); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"8.8.8.8:443", "1.1.1.1:8443", "172.15.255.255:443", "172.32.0.1:443", "[2606:4700::1111]:443", "[2a00:1450:4001::5]:443"} {
		if err := dial(Reach{}, "example.org", address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := dial(Reach{}, host, "127.0.0.1:80"); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if err := dial(Reach{}, host, "10.0.0.1:80"); !errors.Is(err, ErrAddress) { // a hosts file may say so
			t.Errorf("%s at 10.0.0.1: %v", host, err)
		}
	}
	allowed := Reach{Allowed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	for address, ok := range map[string]bool{"10.9.9.9:1": true, "[::ffff:10.1.1.1]:1": true, "[fd12::1]:1": true, "192.168.0.1:1": false, "127.0.0.1:1": false} {
		if err := dial(allowed, "inside.example", address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// An address of this host is not reached though it is public, but by leave.
func TestAddressesOfThisHostAreNotReached(t *testing.T) {
	own := func() ([]net.Addr, error) {
		return []net.Addr{
			&net.IPNet{IP: net.ParseIP("8.8.4.4"), Mask: net.CIDRMask(24, 32)},
			&net.IPNet{IP: net.ParseIP("2606:4700::1111"), Mask: net.CIDRMask(64, 128)},
		}, nil
	}
	for address, here := range map[string]bool{"8.8.4.4:443": true, "[::ffff:8.8.4.4]:443": true, "[2606:4700::1111]:443": true, "8.8.4.5:443": false, "[2606:4700::1112]:443": false} {
		if err := (Reach{own: own}).control("example.org")("tcp", address, nil); errors.Is(err, ErrAddress) != here {
			t.Errorf("%s: %v", address, err)
		}
		allowed := Reach{own: own, Allowed: []netip.Prefix{netip.MustParsePrefix("8.8.4.4/32"), netip.MustParsePrefix("2606:4700::/32")}}
		if err := allowed.control("example.org")("tcp", address, nil); err != nil {
			t.Errorf("%s, allowed: %v", address, err)
		}
	}
	unknown := func() ([]net.Addr, error) { return nil, errors.New("no interfaces") }
	if err := (Reach{own: unknown}).control("example.org")("tcp", "8.8.4.4:443", nil); !errors.Is(err, ErrAddress) {
		t.Errorf("without knowing them: %v", err)
	}
}
