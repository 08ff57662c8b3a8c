package qrcode

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// Code is a QR code with its quiet zone.
type Code struct{ modules *gozxing.BitMatrix }

// quietZone is how wide the margin is that readers need, in modules.
const quietZone = 4

// Err: a text does not fit into a QR code, or a picture shows none.
var Err = errors.New("QR code")

// New gives the code of a text. Err.
func New(text string) (*Code, error) {
	hints := map[gozxing.EncodeHintType]any{
		gozxing.EncodeHintType_ERROR_CORRECTION: "L", // a screen has no stains; smaller is better
		gozxing.EncodeHintType_MARGIN:           quietZone,
	}
	modules, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 0, 0, hints)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", Err, err)
	}
	return &Code{modules}, nil
}

// dark tells the colour of a module; all around is light.
func (q *Code) dark(x, y int) bool {
	return x < q.modules.GetWidth() && y < q.modules.GetHeight() && q.modules.Get(x, y)
}

// WriteText writes two rows of modules to a line. Light modules are what is written,
// as on a dark terminal; with color they are so on any.
func (q *Code) WriteText(w io.Writer, withColor bool) {
	blocks := map[[2]bool]string{{false, false}: "█", {false, true}: "▀", {true, false}: "▄", {true, true}: " "}
	begin, end := "", "\n"
	if withColor {
		begin, end = "\x1b[97;40m", "\x1b[0m\n"
	}
	b := bufio.NewWriter(w)
	defer func() { _ = b.Flush() }() // it is for a terminal, which reports nothing
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

// WritePNG writes the picture: black on white, 8 pixels a module.
func (q *Code) WritePNG(w io.Writer) error {
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
