// Command work is a guest for the tests and benchmarks of the rewriter. It does ordinary
// Go work, and each kind returns a result that shows whether it was computed correctly.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	kindJSON = iota
	kindSort
	kindRegexp
	kindSHA256
	kindSieve
	kindPanic
	kindGoroutines
)

type order struct {
	ID       int               `json:"id"`
	Customer string            `json:"customer"`
	Lines    []line            `json:"lines"`
	Notes    map[string]string `json:"notes"`
}

type line struct {
	Article string  `json:"article"`
	Count   int     `json:"count"`
	Price   float64 `json:"price"`
}

var (
	address = regexp.MustCompile(`([a-z]+)\.([a-z]+)@([a-z]+)\.(com|org)`)
	prose   = strings.Repeat("Write to jane.doe@example.org, or to nobody at all; john.roe@nowhere.net is gone. ", 300)
)

//go:wasmexport work
func work(kind int32) int64 {
	switch kind {
	case kindJSON:
		return jsonWork()
	case kindSort:
		return sortWork()
	case kindRegexp:
		return int64(len(address.FindAllStringSubmatchIndex(prose, -1)))
	case kindSHA256:
		return shaWork()
	case kindSieve:
		return sieve(1_000_000)
	case kindPanic:
		return panics()
	case kindGoroutines:
		return goroutines()
	}
	return -1
}

func jsonWork() int64 {
	orders := make([]order, 150)
	for i := range orders {
		orders[i] = order{i, "customer", []line{{"nut", i, 0.25}, {"bolt", 2 * i, 1.5}}, map[string]string{"gate": "north", "fragile": "no"}}
	}
	text, err := json.Marshal(orders)
	if err != nil {
		return -1
	}
	var back []order
	if err := json.Unmarshal(text, &back); err != nil {
		return -1
	}
	again, _ := json.Marshal(back)
	if !bytes.Equal(text, again) {
		return -1
	}
	return int64(len(again))
}

func sortWork() int64 {
	xs := make([]uint32, 60_000)
	x := uint32(2463534242)
	for i := range xs {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		xs[i] = x
	}
	slices.Sort(xs)
	return int64(xs[len(xs)/2])
}

func shaWork() int64 {
	sum := sha256.Sum256([]byte(prose))
	for range 20 {
		sum = sha256.Sum256(append(sum[:], prose...))
	}
	return int64(binary.BigEndian.Uint64(sum[:]))
}

func sieve(n int) (primes int64) {
	composite := make([]bool, n)
	for i := 2; i < n; i++ {
		if composite[i] {
			continue
		}
		primes++
		for j := i * i; j < n; j += i {
			composite[j] = true
		}
	}
	return primes
}

var errPlanned = errors.New("planned")

func panics() (n int64) {
	for i := range 100 {
		func() {
			defer func() {
				if err, ok := recover().(error); ok && errors.Is(err, errPlanned) {
					n += int64(i)
				}
			}()
			panic(fmt.Errorf("number %d: %w", i, errPlanned))
		}()
	}
	return n
}

func goroutines() (sum int64) {
	in, out := make(chan int), make(chan int, 4)
	for range 8 {
		go func() {
			for i := range in {
				out <- i * i
			}
			out <- -1
		}()
	}
	go func() {
		for i := range 500 {
			in <- i
		}
		close(in)
	}()
	for done := 0; done < 8; {
		if v := <-out; v < 0 {
			done++
		} else {
			sum += int64(v)
		}
	}
	return sum
}

//go:wasmexport descend
func descend(n int32) int64 {
	if n == 0 {
		return 0
	}
	return 1 + descend(n-1)
}

func main() {}
