// Package sieve counts primes with the sieve of Eratosthenes.
package sieve

import (
	"fmt"
	"net/http"
)

// limit is the first number that is not tested.
const limit = 200_000

// Serve answers with the number of primes below 200,000.
func Serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "%d primes below %d\n", count(limit), limit)
}

func count(limit int) (primes int) {
	composite := make([]bool, limit)
	for n := 2; n < limit; n++ {
		if composite[n] {
			continue
		}
		primes++
		for m := n * n; m < limit; m += n {
			composite[m] = true
		}
	}
	return primes
}
