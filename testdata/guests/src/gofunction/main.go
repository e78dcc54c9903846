// Command gofunction is a function that executes the instruction in its event.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// spun keeps the compiler from removing a loop.
var spun int

func main() {
	event, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var c struct {
		Do      string `json:"do"`
		RawPath string `json:"rawPath"`
		Body    string `json:"body"`
	}
	_ = json.Unmarshal(event, &c) // an event of another form is echoed
	fmt.Fprintln(os.Stderr, "got", len(event), "bytes")
	switch what := c.Do + c.RawPath; what {
	case "exit", "/exit":
		fmt.Print(`{"errorMessage":"no luck","errorType":"Luck"}`)
		os.Exit(3)
	case "panic", "/panic":
		panic("no luck")
	case "loop", "/loop":
		for n := 0; ; n++ {
			spun = n
		}
	case "large", "/large":
		for range 7 << 10 {
			fmt.Print(string(make([]byte, 1<<10)))
		}
	case "/bad":
		fmt.Print(`{"statusCode":`)
	case "/env":
		fmt.Printf("%q", os.Getenv("GREETING")+" "+os.Getenv("VESPO_SERVICE"))
	case "/answer":
		fmt.Printf(`{"statusCode":201,"headers":{"x-a":"b"},"cookies":["c=d"],"body":%q}`, "got "+c.Body)
	default:
		os.Stdout.Write(event)
	}
}
