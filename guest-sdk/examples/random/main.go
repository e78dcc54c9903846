// Command random shows the effect of a snapshot on random numbers. Each line of the response has a source and its value
// in this request. Send two requests: a line that is equal in both comes from the snapshot.
package main

import (
	cryptorand "crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"math/rand"
	randv2 "math/rand/v2"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

// These values are drawn during initialisation and are part of the snapshot.
var (
	initNumber = randv2.Uint64()
	initSeed   = maphash.MakeSeed()
	initSource = rand.New(rand.NewSource(int64(randv2.Uint64())))
	initMap    = numbers()
)

func init() { guest.Handle(show) }

func show(w *guest.Response, r *guest.Request) {
	w.Header.Set("content-type", "text/plain; charset=utf-8")
	secret := make([]byte, 8)
	cryptorand.Read(secret)
	fmt.Fprintln(w, "reseeds", guest.Reseeds())
	fmt.Fprintln(w, "crypto/rand", hex.EncodeToString(secret))
	fmt.Fprintln(w, "Request.Rand", r.Rand().Uint64())
	fmt.Fprintln(w, "math/rand", rand.Uint64())
	fmt.Fprintln(w, "math/rand/v2", randv2.Uint64())
	fmt.Fprintln(w, "maphash.MakeSeed", maphash.String(maphash.MakeSeed(), "text"))
	fmt.Fprintln(w, "map-order", order(numbers()))
	fmt.Fprintln(w, "init-map-order", order(initMap))
	fmt.Fprintln(w, "init-number", initNumber)
	fmt.Fprintln(w, "init-maphash", maphash.String(initSeed, "text"))
	fmt.Fprintln(w, "init-source", initSource.Uint64())
}

func numbers() map[int]bool {
	m := map[int]bool{}
	for i := range 64 {
		m[i] = true
	}
	return m
}

// order returns a fingerprint of the iteration order of a map. It iterates several times, because a single iteration has
// only as many orders as start positions.
func order(m map[int]bool) (print uint64) {
	for range 8 {
		for i := range m {
			print = print*31 + uint64(i)
		}
	}
	return print
}

func main() {}
