// Command worker answers the requests of a queue until it is killed. The response is PATH_INFO
// followed by the request body. Its arguments are the URL and the delay of each response.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.New(os.Stderr, "", 0).Fatal(err)
	}
}

func run(url, delay string) error {
	d, err := time.ParseDuration(delay)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Minute}
	fmt.Println("working")
	for {
		if err := work(client, url, d); err != nil {
			return err
		}
	}
}

// work answers one request, if there is one.
func work(client *http.Client, url string, delay time.Duration) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var taken struct {
		Identifier  string
		Environment map[string]string
		Body        []byte
	}
	if err := json.NewDecoder(resp.Body).Decode(&taken); err != nil || resp.StatusCode != http.StatusOK {
		return err
	}
	<-time.After(delay)
	text, err := json.Marshal(map[string]any{"identifier": taken.Identifier, "code": 200, "headers": map[string]string{"Content-Type": "text/plain"},
		"body": append([]byte(taken.Environment["PATH_INFO"]+" "), taken.Body...)})
	if err != nil {
		return err
	}
	said, err := client.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer said.Body.Close()
	_, err = io.Copy(io.Discard, said.Body)
	return err
}
