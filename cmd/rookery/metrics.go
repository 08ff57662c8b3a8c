package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof" // what it does to the default mux, nobody serves
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

// metricsFlags are those of a command that can be watched while it runs.
type metricsFlags struct {
	Metrics       string `name:"metrics" placeholder:"ADDR" help:"Serve metrics for Prometheus at http://ADDR/metrics, such as 127.0.0.1:9464."`
	MetricsPublic bool   `name:"metrics-public" help:"Let --metrics be an address that other machines reach; nobody has to log in there."`
	Pprof         bool   `name:"pprof" help:"Serve profiles of the process at http://ADDR/debug/pprof/, too."`
}

var (
	errMetricsPublic  = errors.New("is no loopback address: other machines would reach it, which takes --metrics-public")
	errMetricsAddress = errors.New("an address such as 127.0.0.1:9464 is needed")
	errMetricsMissing = errors.New("--metrics-public and --pprof say how --metrics is served, which is not given")
)

// metricsServer serves what an engine measures. The nil one serves nothing.
type metricsServer struct {
	meters  *sdk.MeterProvider
	server  *http.Server  // nil: only others read
	stopped chan struct{} // closed when it serves no more
}

const (
	// A profile takes half a minute, or as long as its caller says.
	metricsWriteTimeout = 5 * time.Minute
	metricsReadTimeout  = 10 * time.Second
	metricsIdleTimeout  = time.Minute
	// metricsClosing is how long the end waits for answers that are being written.
	metricsClosing = 2 * time.Second
)

// serve begins to serve, and says where on standard error; nil if the flags want
// nothing, and nobody else reads. The caller closes it after the engine.
func (f metricsFlags) serve(ctx context.Context, out *output, others ...sdk.Reader) (*metricsServer, error) {
	if f.Metrics == "" {
		switch {
		case f.MetricsPublic || f.Pprof:
			return nil, errMetricsMissing
		case len(others) == 0:
			return nil, nil //nolint:nilnil // the nil server serves nothing
		}
		return &metricsServer{meters: newMeters(others)}, nil
	}
	address, err := net.ResolveTCPAddr("tcp", f.Metrics)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--metrics=%s: %w: %w", f.Metrics, errMetricsAddress, err)
	case !f.MetricsPublic && !address.IP.IsLoopback():
		return nil, fmt.Errorf("--metrics=%s %w", f.Metrics, errMetricsPublic)
	}
	s := &metricsServer{stopped: make(chan struct{})}
	handler, err := s.handler(f.Pprof, others)
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address.String())
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	s.server = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: metricsReadTimeout,
		ReadTimeout:       metricsReadTimeout,
		WriteTimeout:      metricsWriteTimeout,
		IdleTimeout:       metricsIdleTimeout,
		MaxHeaderBytes:    16 << 10,
	}
	go func() {
		defer close(s.stopped)
		_ = s.server.Serve(listener) // ends with close
	}()
	_, _ = fmt.Fprintf(out.progress.to, "rookery: metrics at http://%s/metrics\n", listener.Addr())
	return s, nil
}

// handler serves a registry of its own, which also has what Go and the operating
// system know of the process.
func (s *metricsServer) handler(profiles bool, others []sdk.Reader) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	s.meters = newMeters(append(others, reader))
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("--metrics: %w", err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", profile)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux, nil
}

// newMeters gives what an engine measures to all readers.
func newMeters(readers []sdk.Reader) *sdk.MeterProvider {
	var options []sdk.Option
	for _, one := range readers {
		options = append(options, sdk.WithReader(one))
	}
	return sdk.NewMeterProvider(options...)
}

// profile serves profiles, but for stacks with the arguments of calls: a key that is
// passed as an array is among those.
func profile(w http.ResponseWriter, r *http.Request) {
	switch r.FormValue("debug") {
	case "", "0", "1":
		pprof.Index(w, r)
	default:
		http.Error(w, "stacks with arguments may show keys", http.StatusForbidden)
	}
}

// provider is what an engine measures with, nil if nobody asks.
func (s *metricsServer) provider() metric.MeterProvider {
	if s == nil {
		return nil
	}
	return s.meters
}

// close ends serving, and waits a little for who is being answered.
func (s *metricsServer) close() {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), metricsClosing)
	defer cancel()
	if s.server != nil {
		if s.server.Shutdown(ctx) != nil {
			_ = s.server.Close() // a profile is being taken
		}
		<-s.stopped
	}
	_ = s.meters.Shutdown(ctx)
}
