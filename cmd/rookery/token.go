package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/token"
)

// TokenCmd is what operators do with the tokens of the daemon. None of it needs the
// store, which the daemon may have open.
type TokenCmd struct {
	Create TokenCreateCmd `cmd:"" help:"Make a token for one identity, or for the administrator, and print it once."`
	List   TokenListCmd   `cmd:"" help:"List the tokens."`
	Revoke TokenRevokeCmd `cmd:"" help:"End a token, at once."`
}

// tokenPlace says for which store.
type tokenPlace struct {
	Dir  string `name:"dir" required:"" type:"path" env:"ROOKERY_DIR" placeholder:"DIR" help:"Directory of the store (ROOKERY_DIR)."`
	JSON bool   `name:"json" help:"Write one JSON object per line instead of text."`
}

func (p *tokenPlace) show(out *output, v view) error {
	if p.JSON {
		return writeJSON(out.stdout, v)
	}
	v.print(out.stdout)
	return nil
}

// tokenView is a token as results show it.
type tokenView struct {
	ID      string `json:"id"`
	For     string `json:"for"` // a public key, or "admin"
	Created string `json:"created"`
	Expires string `json:"expires,omitempty"`
	Expired bool   `json:"expired,omitempty"`
	Token   string `json:"token,omitempty"` // of create
}

func viewToken(t token.Token) tokenView {
	v := tokenView{ID: t.ID, For: t.Identity, Created: t.Created.Format(time.RFC3339), Expired: t.Expired(time.Now())}
	if t.Admin {
		v.For = "admin"
	}
	if !t.Expires.IsZero() {
		v.Expires = t.Expires.Format(time.RFC3339)
	}
	return v
}

func (v tokenView) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, v.ID)
	field(w, "for", "%s", v.For)
	field(w, "created", "%s", v.Created)
	switch {
	case v.Expired:
		field(w, "expired", "%s", v.Expires)
	case v.Expires != "":
		field(w, "expires", "%s", v.Expires)
	default:
		field(w, "expires", "never")
	}
	if v.Token != "" {
		field(w, "token", "%s", v.Token)
	}
}

// TokenCreateCmd makes a token.
type TokenCreateCmd struct {
	tokenPlace
	Identity string `name:"identity" xor:"scope" required:"" placeholder:"KEY" help:"The public key of the identity that it is for."`
	Admin    bool   `name:"admin" xor:"scope" required:"" help:"For everything: all identities, creating and deleting them, backups."`
	Expires  string `name:"expires" default:"90d" placeholder:"TIME" help:"For how long it is good, such as 12h or 30d (${default}); never for no end."`
}

var errExpires = errors.New("--expires is a time such as 12h or 30d, or never")

// lifetime reads for how long a token is good, 0 for ever.
func lifetime(text string) (time.Duration, error) {
	if text == "never" {
		return 0, nil
	}
	if number, ok := strings.CutSuffix(text, "d"); ok {
		const most = 36_500
		days, err := strconv.Atoi(number)
		if err != nil || days <= 0 || days > most {
			return 0, errExpires
		}
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, errExpires
	}
	return d, nil
}

// Run implements kong's command.
func (c *TokenCreateCmd) Run(out *output) error {
	good, err := lifetime(c.Expires)
	if err != nil {
		return err
	}
	if err := exists(c.Dir); err != nil {
		return err
	}
	of, now := token.Token{Admin: c.Admin}, time.Now()
	if good > 0 {
		of.Expires = now.Add(good)
	}
	if !c.Admin {
		key, err := rookery.ParsePublicKey(c.Identity)
		if err != nil {
			return explained(fmt.Errorf("--identity: %w", err))
		}
		of.Identity = key.String()
	}
	made, text, err := token.Of(c.Dir).Create(of, now)
	if err != nil {
		return err
	}
	v := viewToken(made)
	v.Token = text
	return c.show(out, v)
}

// TokenListCmd lists tokens.
type TokenListCmd struct{ tokenPlace }

// Run implements kong's command.
func (c *TokenListCmd) Run(out *output) error {
	all, err := token.Of(c.Dir).List()
	if err != nil {
		return err
	}
	for _, t := range all {
		if err := c.show(out, viewToken(t)); err != nil {
			return err
		}
	}
	return nil
}

// TokenRevokeCmd ends a token.
type TokenRevokeCmd struct {
	tokenPlace
	ID string `arg:"" help:"The id of the token, as rookery token list shows it."`
}

// Run implements kong's command.
func (c *TokenRevokeCmd) Run(*output) error { return token.Of(c.Dir).Revoke(c.ID) }
