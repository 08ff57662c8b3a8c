package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-im/rookery/internal/footprint"
)

// StoreStatsCmd says what a store holds.
type StoreStatsCmd struct {
	storePlace
	JSON bool `name:"json" help:"Write one JSON document instead of text."`
}

// statsResult is the JSON document of the command.
type statsResult struct {
	Directory string      `json:"directory"`
	Kinds     []kindStats `json:"kinds"`
	Epochs    []epochStat `json:"epochs"`
	Commits   uint64      `json:"commits"`
	Recovery  uint64      `json:"recovery"`
	Pending   bool        `json:"recovery_pending"`
	Clean     bool        `json:"clean"` // it was closed in order: there is nothing to forget
	DiskBytes int64       `json:"disk_bytes"`
}

type kindStats struct {
	Kind    string `json:"kind"`
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
}

type epochStat struct {
	ID         uint32    `json:"id"`
	Created    time.Time `json:"created"`
	AgeSeconds int64     `json:"age_seconds"`
	Records    uint64    `json:"records"`
}

// Run implements kong's command.
func (c *StoreStatsCmd) Run(out *output) error {
	ctx, stop := interruptible()
	defer stop()
	store, err := c.read(ctx)
	if err != nil {
		return err
	}
	stats, err := store.Stats(ctx)
	if err := errors.Join(err, store.Close()); err != nil {
		return explained(err)
	}
	result := statsResult{
		Directory: c.Dir, Kinds: []kindStats{}, Epochs: []epochStat{},
		Commits: stats.Commits, Recovery: stats.Recovery, Pending: stats.Pending, Clean: stats.Clean, DiskBytes: footprint.Directory(c.Dir),
	}
	for _, k := range stats.Kinds {
		result.Kinds = append(result.Kinds, kindStats{k.Kind.String(), k.Records, k.Bytes})
	}
	for _, e := range stats.Epochs {
		age := time.Since(e.Created).Truncate(time.Second)
		result.Epochs = append(result.Epochs, epochStat{e.ID, e.Created.UTC(), int64(age.Seconds()), e.Records})
	}
	if c.JSON {
		return json.NewEncoder(out.stdout).Encode(result)
	}
	return result.print(out.stdout)
}

func (r *statsResult) print(w io.Writer) error {
	_, err := fmt.Fprintln(w, r.Directory)
	for _, k := range r.Kinds {
		field(w, k.Kind, "%d records, %d bytes", k.Records, k.Bytes)
	}
	for _, e := range r.Epochs {
		field(w, fmt.Sprintf("epoch %d", e.ID), "%d records, begun %s, %v ago", e.Records,
			e.Created.Format(time.RFC3339), time.Duration(e.AgeSeconds)*time.Second)
	}
	field(w, "commits", "%d", r.Commits)
	recovery := "none"
	if r.Recovery > 0 {
		recovery = fmt.Sprint(r.Recovery)
	}
	if r.Pending {
		recovery += ", to be made by the next open"
	}
	field(w, "last recovery", "%s", recovery)
	field(w, "closed in order", "%s", map[bool]string{true: "yes", false: "no"}[r.Clean])
	field(w, "on disk", "%d bytes", r.DiskBytes)
	return err
}
