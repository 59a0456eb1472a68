// Package tesserav1 holds the messages and the client of the Tessera API, generated from
// proto/tessera/v1 by generate.sh.
package tesserav1

//go:generate ../generate.sh
