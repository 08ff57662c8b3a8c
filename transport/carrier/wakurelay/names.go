package wakurelay

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/multiformats/go-multiaddr"

	"github.com/rookery-im/rookery/transport/carrier"
)

// mostAddresses is how many addresses of a name are tried.
const mostAddresses = 16

// lookUp gives the addresses of a name; network is ip, ip4 or ip6.
type lookUp func(ctx context.Context, network, name string) ([]netip.Addr, error)

// kindOfName is the kind of name that an address begins with, 0 if it is none.
func kindOfName(address multiaddr.Multiaddr) int {
	switch code := address.Protocols()[0].Code; code {
	case multiaddr.P_DNS, multiaddr.P_DNS4, multiaddr.P_DNS6:
		return code
	}
	return 0
}

// reach gives addresses without names. Only what was configured comes here; who answers
// for a name has still to prove that it is the peer. An error if there are none.
func (n *node) reach(ctx context.Context, configured []multiaddr.Multiaddr) (addresses []multiaddr.Multiaddr, err error) {
	ctx, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	for _, address := range configured {
		kind := kindOfName(address)
		if kind == 0 {
			addresses = append(addresses, address)
			continue
		}
		var some []multiaddr.Multiaddr
		if some, err = n.addressesOf(ctx, kind, address); err == nil {
			addresses = append(addresses, some...)
		}
	}
	if len(addresses) > 0 {
		return addresses, nil
	}
	return nil, err
}

func (n *node) addressesOf(ctx context.Context, kind int, address multiaddr.Multiaddr) ([]multiaddr.Multiaddr, error) {
	name, err := address.ValueForProtocol(kind)
	if err != nil {
		return nil, fmt.Errorf("wakurelay: %s: %w", address, err)
	}
	port, err := address.ValueForProtocol(multiaddr.P_TCP)
	if err != nil {
		return nil, fmt.Errorf("wakurelay: %s: %w", address, err)
	}
	found, err := n.lookUp(ctx, map[int]string{multiaddr.P_DNS4: "ip4", multiaddr.P_DNS6: "ip6", multiaddr.P_DNS: "ip"}[kind], name)
	if err != nil {
		return nil, fmt.Errorf("%w: looking up %q: %w", carrier.ErrUnreachable, name, err)
	}
	var all []multiaddr.Multiaddr
	for _, ip := range found[:min(len(found), mostAddresses)] {
		ip = ip.Unmap().WithZone("")
		family := "ip4"
		if ip.Is6() {
			family = "ip6"
		}
		one, err := multiaddr.NewMultiaddr(fmt.Sprintf("/%s/%s/tcp/%s", family, ip, port))
		if err != nil {
			return nil, fmt.Errorf("wakurelay: address of %q: %w", name, err)
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: %q has no address", carrier.ErrUnreachable, name)
	}
	return all, nil
}
