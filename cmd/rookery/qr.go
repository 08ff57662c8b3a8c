package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/rookery-im/rookery"
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

	code  *qrCode
	color bool
}

func (v codeView) print(w io.Writer) {
	if v.PNG == "" {
		v.code.print(w, v.color)
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
		code, err := newQRCode(text)
		if err != nil {
			return err
		}
		if c.PNG != "" {
			if err := newFile(c.PNG, code.writePNG); err != nil {
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

// qrCode is a QR code with its quiet zone.
type qrCode struct{ modules *gozxing.BitMatrix }

// quietZone is how wide the margin is that readers need, in modules.
const quietZone = 4

// errQRCode: a text does not fit into a QR code, or a picture shows none.
var errQRCode = errors.New("QR code")

func newQRCode(text string) (*qrCode, error) {
	hints := map[gozxing.EncodeHintType]any{
		gozxing.EncodeHintType_ERROR_CORRECTION: "L", // a screen has no stains; smaller is better
		gozxing.EncodeHintType_MARGIN:           quietZone,
	}
	modules, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 0, 0, hints)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errQRCode, err)
	}
	return &qrCode{modules}, nil
}

// dark tells the colour of a module; all around is light.
func (q *qrCode) dark(x, y int) bool {
	return x < q.modules.GetWidth() && y < q.modules.GetHeight() && q.modules.Get(x, y)
}

// print writes two rows of modules to a line. Light modules are what is written, as
// on a dark terminal; with color they are so on any.
func (q *qrCode) print(w io.Writer, withColor bool) {
	blocks := map[[2]bool]string{{false, false}: "█", {false, true}: "▀", {true, false}: "▄", {true, true}: " "}
	begin, end := "", "\n"
	if withColor {
		begin, end = "\x1b[97;40m", "\x1b[0m\n"
	}
	b := bufio.NewWriter(w)
	defer func() { _ = b.Flush() }() // a view's writer reports nothing
	for y := 0; y < q.modules.GetHeight(); y += 2 {
		_, _ = b.WriteString(begin)
		for x := range q.modules.GetWidth() {
			_, _ = b.WriteString(blocks[[2]bool{q.dark(x, y), q.dark(x, y+1)}])
		}
		_, _ = b.WriteString(end)
	}
}

// pixels is how wide a module is in a picture.
const pixels = 8

// writePNG writes the picture.
func (q *qrCode) writePNG(w io.Writer) error {
	bounds := image.Rect(0, 0, q.modules.GetWidth()*pixels, q.modules.GetHeight()*pixels)
	picture := image.NewPaletted(bounds, color.Palette{color.White, color.Black})
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			if q.dark(x/pixels, y/pixels) {
				picture.SetColorIndex(x, y, 1)
			}
		}
	}
	return png.Encode(w, picture)
}
