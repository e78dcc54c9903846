// Command random shows what a snapshot does to random numbers: each line is a source, and what it gave in this request. Ask
// twice: a line that stays the same comes from the snapshot.
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

// Drawn while the program starts, these are part of the snapshot.
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

// order is a fingerprint of the orders in which a map happens to be visited. A single visit has but as many as there are places
// to begin at.
func order(m map[int]bool) (print uint64) {
	for range 8 {
		for i := range m {
			print = print*31 + uint64(i)
		}
	}
	return print
}

func main() {}
