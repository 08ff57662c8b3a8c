package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/qrcode"
)

// IdentityQRCmd shows a contact code.
type IdentityQRCmd struct {
	hosted
	PNG string `name:"png" type:"path" placeholder:"FILE" help:"Write the QR code as a picture to this new file instead of to the terminal."`
}

// codeView is a contact code as results show it.
type codeView struct {
	Identity string `json:"identity"`
	Code     string `json:"code"`
	PNG      string `json:"png,omitempty"`

	code  *qrcode.Code
	color bool
}

func (v codeView) print(w io.Writer) {
	if v.PNG == "" {
		v.code.WriteText(w, v.color)
	}
	_, _ = fmt.Fprintln(w, v.Code)
	if v.PNG != "" {
		field(w, "picture", "%s", v.PNG)
	}
}

// Run implements kong's command.
func (c *IdentityQRCmd) Run(out *output) error {
	return c.withIdentity(out, needs{}, func(ctx context.Context, i *rookery.Identity) error {
		text, err := i.ContactCode(ctx)
		if err != nil {
			return err
		}
		code, err := qrcode.New(text)
		if err != nil {
			return err
		}
		if c.PNG != "" {
			if err := newFile(c.PNG, code.WritePNG); err != nil {
				return err
			}
		}
		return c.show(out, codeView{i.PublicKey().String(), text, c.PNG, code, isTerminal(out.stdout)})
	})
}

// isTerminal tells whether what is written is seen at once.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// readQRCode gives the text of the QR code in a picture, PNG or JPEG.
func readQRCode(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := qrcode.Read(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}
