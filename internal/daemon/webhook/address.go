package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
)

// MaxURL is how long the URL of an endpoint may be, in bytes.
const MaxURL = 2048

var (
	// ErrURL: the URL of an endpoint is not one that events are posted to.
	ErrURL = errors.New("URL of a webhook")
	// ErrAddress: the endpoint is at an address that may not be reached.
	ErrAddress = errors.New("address is not public")
)

// Reach is what may be reached.
type Reach struct {
	// Insecure: endpoints on other hosts may be spoken to without TLS.
	Insecure bool
	// Allowed are ranges of addresses that may be reached although they are not public,
	// or are those of this host.
	Allowed []netip.Prefix
	// own gives the addresses of this host, nil: those of its interfaces now.
	own func() ([]net.Addr, error)
}

// Check tells what is wrong with the URL of an endpoint: it is https, or http to this
// host, by "localhost" or an address of loopback. A name is not looked up. ErrURL,
// ErrAddress.
func (r Reach) Check(text string) error {
	if len(text) > MaxURL {
		return fmt.Errorf("%w: more than %d bytes", ErrURL, MaxURL)
	}
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("%w: it cannot be read", ErrURL) // the error would repeat it
	}
	here := isHere(u.Hostname())
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%w: it is neither https nor http", ErrURL)
	case u.Scheme == "http" && !here && !r.Insecure:
		return fmt.Errorf("%w: http is for this host alone", ErrURL)
	case u.Opaque != "" || u.Hostname() == "":
		return fmt.Errorf("%w: it has no host", ErrURL)
	case u.User != nil:
		return fmt.Errorf("%w: it has a user or a password, which is no place for them", ErrURL)
	case u.Fragment != "":
		return fmt.Errorf("%w: it has a fragment, which is not sent", ErrURL)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%w: its port is none", ErrURL)
		}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !here {
		return r.may(ip)
	}
	return nil
}

// isHere tells whether the host of a URL is this host by its text alone.
func isHere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// control is that of a dialer to a host of a URL: it sees the address that a name has
// been resolved to, so that nothing can change between the look and the connection.
func (r Reach) control(host string) func(network, address string, _ syscall.RawConn) error {
	here := isHere(host)
	return func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %s", ErrAddress, address)
		}
		ip := at.Addr().Unmap()
		if here && ip.IsLoopback() {
			return nil
		}
		return r.may(ip)
	}
}

// may tells with ErrAddress that an address may not be reached.
func (r Reach) may(ip netip.Addr) error {
	ip = ip.WithZone("").Unmap()
	for _, p := range r.Allowed {
		if p.Contains(ip) {
			return nil
		}
	}
	if !public(ip) {
		return fmt.Errorf("%w: %v", ErrAddress, ip)
	}
	return r.others(ip)
}

// others tells with ErrAddress that an address is one of this host, where services
// listen that nobody else can reach.
func (r Reach) others(ip netip.Addr) error {
	own := r.own
	if own == nil {
		own = net.InterfaceAddrs
	}
	all, err := own()
	if err != nil {
		return fmt.Errorf("%w, as far as is known: %w", ErrAddress, err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if one, ok := netip.AddrFromSlice(n.IP); ok && one.Unmap() == ip {
				return fmt.Errorf("%w: %v is of this host", ErrAddress, ip)
			}
		}
	}
	return nil
}

// reserved are ranges that are not public beside those that package netip names: by the
// registries of IANA for special purposes, with those that lead to an IPv4 address.
var reserved = func() (all []netip.Prefix) {
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}()

// globalIPv6 is all of IPv6 that is given out for public use.
var globalIPv6 = netip.MustParsePrefix("2000::/3")

// public tells whether an address is one of the public network.
func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Is6() && !globalIPv6.Contains(ip) {
		return false
	}
	for _, p := range reserved {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// dialer connects to a host of a URL.
func (r Reach) dialer(host string) *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive, Control: r.control(host)}
}
