package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/persistence/sealing"
)

// StoreRekeyCmd seals a store anew.
type StoreRekeyCmd struct {
	storePlace
	JSON bool `name:"json" help:"Write one JSON document instead of text."`
}

// Run implements kong's command.
func (c *StoreRekeyCmd) Run(out *output) error {
	ctx, stop := interruptible()
	defer stop()
	store, err := c.open(ctx)
	if err != nil {
		return err
	}
	result := rekeyResult{Directory: c.Dir}
	before, err := store.Stats(ctx)
	if err == nil {
		err = store.Rotate(ctx)
	}
	var after sealing.Stats
	if err == nil {
		after, err = store.Stats(ctx)
	}
	// Closing ends the epoch too, if anything was written since.
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	for _, epoch := range after.Epochs {
		result.Records += epoch.Records
	}
	for _, epoch := range before.Epochs {
		if epoch.ID < after.Epochs[0].ID {
			result.KeysDestroyed++
		}
	}
	if c.JSON {
		return json.NewEncoder(out.stdout).Encode(result)
	}
	_, err = fmt.Fprintln(out.stdout, c.Dir)
	field(out.stdout, "records sealed anew", "%d", result.Records)
	field(out.stdout, "keys destroyed", "%d", result.KeysDestroyed)
	return err
}

// rekeyResult is the JSON document of the command.
type rekeyResult struct {
	Directory     string `json:"directory"`
	Records       uint64 `json:"records"`
	KeysDestroyed int    `json:"keys_destroyed"`
}

// StorePasswdCmd changes what opens a store.
type StorePasswdCmd struct {
	storePlace
	NewKeyFile        string `name:"new-key-file" type:"path" xor:"new" required:"" placeholder:"FILE" help:"The key file that opens the store from now on; made if it does not exist."`
	NewPassphraseFile string `name:"new-passphrase-file" type:"path" xor:"new" required:"" placeholder:"FILE" help:"A file with the passphrase that opens the store from now on."`
}

// Run implements kong's command.
func (c *StorePasswdCmd) Run(out *output) error {
	next, err := protector(c.NewKeyFile, c.NewPassphraseFile)
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	store, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(store.SetProtector(ctx, next), store.Close()); err != nil {
		return explained(err)
	}
	_, err = fmt.Fprintf(out.stdout, "%s\n  what opened it before opens it no longer\n", c.Dir)
	return err
}
