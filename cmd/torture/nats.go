package main

import (
	"context"
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
)

func openNATS(ctx context.Context, r *reach) (carrier.Carrier, error) {
	c, err := jetstream.Open(ctx, jetstream.Options{Servers: []string{r.Address}, Stream: jetstream.Stream{Create: true}})
	if err != nil {
		return nil, err // and no nil *jetstream.Carrier in an interface
	}
	return c, nil
}

// serveNATS runs a server, at an address that it had before or at a new one, until
// the process ends.
func serveNATS(dir, before string) (address string, err error) {
	port := -1
	if before != "" {
		u, err := url.Parse(before)
		if err != nil {
			return "", err
		}
		if port, err = strconv.Atoi(u.Port()); err != nil {
			return "", err
		}
	}
	server, err := embedded.Start(embedded.Options{Dir: filepath.Join(dir, natsNetwork), Port: port})
	if err != nil {
		return "", err
	}
	return server.URL(), nil
}
