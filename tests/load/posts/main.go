// posts sends each line of a file as the body of a POST, a given number in flight, and prints figures as JSON.
//
// It is the load generator of all servers that tests/load/issue_path.py compares: one process, HTTP/1.1, connections
// kept open, every answer read to its end.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type figures struct {
	Seconds   float64        `json:"seconds"`
	Latencies []float64      `json:"latencies"` // seconds, in no order
	Statuses  map[string]int `json:"statuses"`
	Wrong     string         `json:"wrong"` // the first answer that was not as expected
}

func main() {
	url := flag.String("url", "", "where to")
	file := flag.String("bodies", "", "one body a line")
	inFlight := flag.Int("in-flight", 1, "how many requests are under way at a time")
	status := flag.Int("status", 200, "the status that every answer is to have")
	holds := flag.String("holds", "BEGIN CERTIFICATE", "what every answer is to hold")
	bearer := flag.String("bearer-file", "", "a file with a bearer token, if one is wanted")
	flag.Parse()

	bodies, err := lines(*file)
	if err == nil {
		token := ""
		if *bearer != "" {
			var raw []byte
			raw, err = os.ReadFile(*bearer)
			token = strings.TrimSpace(string(raw))
		}
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(send(*url, bodies, *inFlight, *status, *holds, token))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func lines(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found [][]byte
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 1<<20), 1<<20)
	for scanner.Scan() {
		found = append(found, bytes.Clone(scanner.Bytes()))
	}
	return found, scanner.Err()
}

func send(url string, bodies [][]byte, inFlight, status int, holds, token string) figures {
	client := &http.Client{
		Timeout: 60 * time.Second,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: inFlight,
			// the server under test made its own certificate a moment ago
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
	}
	told := figures{Latencies: make([]float64, len(bodies)), Statuses: map[string]int{}}
	var next atomic.Int64
	var lock sync.Mutex
	var workers sync.WaitGroup
	began := time.Now()
	for range make([]struct{}, inFlight) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for place := next.Add(1) - 1; place < int64(len(bodies)); place = next.Add(1) - 1 {
				started := time.Now()
				got, answer := post(client, url, bodies[place], token)
				told.Latencies[place] = time.Since(started).Seconds()
				lock.Lock()
				told.Statuses[got]++
				if told.Wrong == "" && (got != fmt.Sprint(status) || !bytes.Contains(answer, []byte(holds))) {
					told.Wrong = got + ": " + string(answer)
				}
				lock.Unlock()
			}
		}()
	}
	workers.Wait()
	told.Seconds = time.Since(began).Seconds()
	return told
}

func post(client *http.Client, url string, body []byte, token string) (string, []byte) {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "none", []byte(err.Error())
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return "none", []byte(err.Error())
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "cut", []byte(err.Error())
	}
	return fmt.Sprint(response.StatusCode), answer
}
