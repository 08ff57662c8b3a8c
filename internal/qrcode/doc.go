// Package qrcode draws QR codes of texts, for terminals and as pictures, and reads
// them from pictures that strangers may have made.
//
// It does not know what the texts mean.
package qrcode
