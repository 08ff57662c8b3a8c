package goldenstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/backup"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
	"github.com/rookery-im/rookery/transport"
)

var rewrite = flag.Bool("rewrite", false, "make the golden store of this build's format")

const (
	stores  = "../../testdata/stores"
	current = "v2" // the format of this build
)

// The files of a golden store.
const (
	storeDir      = "store"          // as the engine has left it
	keyFile       = "key"            // opens it
	recordsFile   = "records.txt"    // its records, opened
	envelopesFile = "envelopes.json" // messages to it that have not come yet
	backupFile    = "backup.age"     // its backup
	backupKeyFile = "backup.key"     // opens that
)

// TestGoldenStores opens stores of every released format (T10): their records
// are what they were, sessions go on where they were, skipped message keys open
// what comes late, and what waited in outbox and inbox is there.
func TestGoldenStores(t *testing.T) {
	if *rewrite {
		makeGolden(t, filepath.Join(stores, current))
	}
	formats, err := os.ReadDir(stores)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(formats, func(e os.DirEntry) bool { return e.Name() == current }) {
		t.Fatalf("there is no golden store of the format of this build, %s", current)
	}
	for _, format := range formats {
		golden := filepath.Join(stores, format.Name())
		t.Run(format.Name(), func(t *testing.T) {
			t.Run("records", func(t *testing.T) { recordsAreAsTheyWere(t, golden) })
			t.Run("conversations", func(t *testing.T) { conversationsGoOn(t, golden) })
			t.Run("backup", func(t *testing.T) { backupIsRestored(t, golden) })
		})
	}
}

func recordsAreAsTheyWere(t *testing.T, golden string) {
	want, err := os.ReadFile(filepath.Join(golden, recordsFile))
	if err != nil {
		t.Fatal(err)
	}
	store := readOnly(t, copied(t, golden))
	if store.RolledBack() {
		t.Error("it looks like one that has gone back")
	}
	if got := listing(t, store); !bytes.Equal(got, want) {
		t.Errorf("records are\n%swant\n%s", got, want)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

func conversationsGoOn(t *testing.T, golden string) {
	dir := copied(t, golden)
	l := &life{t: t, air: newAir(), said: &heard{}}
	l.air.set(true, nil)
	at := func(o *rookery.Options) {
		o.Dir, o.Unlock = filepath.Join(dir, storeDir), keyring.KeyFile(filepath.Join(dir, keyFile))
		o.Now = clock(born.Add(time.Hour))
	}
	host := l.open(3, l.said.handle, at)
	inbox := []string{
		"alice-desk: carol 1", "alice-desk: carol 3", "alice-desk: carol 5",
		"alice-phone: carol 1", "alice-phone: carol 3", "alice-phone: carol 5", "alice-phone: hello Alice, this is Bob",
		"bob-phone: hello Bob",
	}
	l.hears(inbox...)
	for _, e := range pending(t, golden) {
		l.air.Network.Publish(e, func(error) {})
	}
	l.hears("alice-phone: carol 2", "alice-desk: carol 2", "alice-phone: carol 6", "alice-desk: carol 6")
	l.close(host)

	// What waited in the outbox goes out when the network takes it.
	l.air, l.said = newAir(), &heard{}
	host = l.open(4, l.said.handle, at)
	l.hears("alice-phone: waiting for Alice", "alice-phone: carol 2", "alice-desk: carol 6")
	l.hears(inbox...)
	var carol transport.Topic
	for _, e := range pending(t, golden) {
		carol = transport.PersonalTopic(e.Sender)
	}
	eventually(t, "the message to Carol", func() bool { return l.air.carried(carol) == 1 })
	l.close(host)
}

func backupIsRestored(t *testing.T, golden string) {
	file, err := os.Open(filepath.Join(golden, backupFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	key, err := os.ReadFile(filepath.Join(golden, backupKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(key))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := rookery.Options{Dir: filepath.Join(dir, storeDir), Unlock: keyring.KeyFile(filepath.Join(dir, keyFile))}
	if _, err := rookery.Restore(t.Context(), o, file, identities...); err != nil {
		t.Fatal(err)
	}
	store := readOnly(t, dir)
	want, err := os.ReadFile(filepath.Join(golden, recordsFile))
	if err != nil {
		t.Fatal(err)
	}
	if got := listing(t, store); !bytes.Equal(got, want) {
		t.Errorf("records are\n%swant\n%s", got, want)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	successorsKnowTheContacts(t, o)
}

// successorsKnowTheContacts opens a store that was restored.
func successorsKnowTheContacts(t *testing.T, o rookery.Options) {
	l := &life{t: t, air: newAir(), said: &heard{}}
	host := l.open(6, l.said.handle, func(to *rookery.Options) { to.Dir, to.Unlock = o.Dir, o.Unlock })
	defer l.close(host)
	var known []string
	for _, i := range host.Identities() {
		if i.Retired() {
			continue
		}
		for c, err := range i.Contacts(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			for _, in := range c.Installations {
				known = append(known, names[in.ID])
			}
		}
	}
	slices.Sort(known)
	if want := []string{"alice-desk", "alice-phone", "bob-phone", "bob-phone", "carol-phone", "carol-phone"}; !slices.Equal(known, want) {
		t.Errorf("successors know %v, want %v", known, want)
	}
}

// readOnly opens a golden store, or a copy of one, without changing it.
func readOnly(t *testing.T, dir string) *sealing.Store {
	t.Helper()
	store, err := openReadOnly(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func openReadOnly(t *testing.T, dir string) (*sealing.Store, error) {
	return sealing.Open(t.Context(), sealing.Options{
		Dir:       filepath.Join(dir, storeDir),
		Protector: keyring.KeyFile(filepath.Join(dir, keyFile)),
		ReadOnly:  true,
		Records: func(dir string) (persistence.Store, error) {
			return pebble.Open(dir, pebble.Options{ReadOnly: true})
		},
	})
}

// listing is a line for each record but fences: its name, the sum of its value,
// and the name as people read it.
func listing(t *testing.T, store persistence.Store) []byte {
	t.Helper()
	var out []byte
	err := store.Scan(t.Context(), "", func(name persistence.Name, value []byte) error {
		if name.Kind() != persistence.KindFence {
			out = fmt.Appendf(out, "%x %x %s\n", string(name), sha256.Sum256(value), name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// envelope is one as it stands in a golden store.
type envelope struct {
	Topic   string `json:"topic"`
	Sender  string `json:"sender"`
	Payload string `json:"payload"`
}

func pending(t *testing.T, golden string) []transport.Envelope {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(golden, envelopesFile))
	if err != nil {
		t.Fatal(err)
	}
	var stored []envelope
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	all := make([]transport.Envelope, len(stored))
	for i, e := range stored {
		sender, err := hex.DecodeString(e.Sender)
		payload, payloadErr := hex.DecodeString(e.Payload)
		if err := errors.Join(err, payloadErr); err != nil {
			t.Fatal(err)
		}
		all[i] = transport.Envelope{Topic: transport.Topic(e.Topic), Sender: rookery.PublicKey(sender), Payload: payload}
	}
	return all
}

// copied is a copy of a golden store that may be written to. Nobody else may
// read it, whatever became of the modes where it comes from.
func copied(t *testing.T, golden string) string {
	t.Helper()
	dir := t.TempDir()
	copyTree(t, golden, dir, func(string) bool { return true })
	return dir
}

func copyTree(t *testing.T, from, to string, wanted func(name string) bool) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, below)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if !wanted(entry.Name()) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// makeGolden makes a golden store of the format of this build.
func makeGolden(t *testing.T, golden string) {
	t.Helper()
	if _, err := os.Stat(golden); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is there already (%v): released formats do not change", golden, err)
	}
	dir := t.TempDir()
	at := func(o *rookery.Options) {
		o.Dir, o.Unlock = filepath.Join(dir, storeDir), keyring.KeyFile(filepath.Join(dir, keyFile))
	}
	envelopes := live(t, at)
	// Opened once more, so that there are tables and not a log alone.
	l := &life{t: t, air: newAir()}
	l.air.set(true, nil)
	l.close(l.open(5, nil, at))
	var stored []envelope
	for _, e := range envelopes {
		stored = append(stored, envelope{string(e.Topic), hex.EncodeToString(e.Sender[:]), hex.EncodeToString(e.Payload)})
	}
	text, err := json.MarshalIndent(stored, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	store := readOnly(t, dir)
	var saved bytes.Buffer
	if _, err := backup.Write(t.Context(), store, &saved, identity.Recipient()); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		recordsFile:   listing(t, store),
		envelopesFile: append(text, '\n'),
		backupFile:    saved.Bytes(),
		backupKeyFile: []byte(identity.String() + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	// Locks and space set aside are not content.
	copyTree(t, dir, golden, func(name string) bool { return name != "LOCK" && name != "BALLAST" })
}
