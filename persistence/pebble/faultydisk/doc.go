// Package faultydisk gives tests a disk whose operations fail or are looked at: Pebble's
// errorfs over a file system, without two things that they get wrong. It knows nothing of
// stores, nor of what is to fail.
package faultydisk
