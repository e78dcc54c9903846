// Command cgiscript executes the lines of the request's body, so that a test can make a CGI
// command do anything:
//
//	print TEXT            print TEXT, a quoted Go string
//	fill N                print N bytes
//	err TEXT              print a line to standard error
//	env                   print the environment, one variable a line, sorted
//	args                  print the arguments, quoted, one a line
//	read                  print the rest of standard input
//	close N               close a descriptor
//	sleep 10ms            sleep
//	exit N                exit
//	panic TEXT            panic
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func step(verb, arg string, in io.Reader) {
	number, _ := strconv.Atoi(arg)
	switch verb {
	case "print":
		text, err := strconv.Unquote(arg)
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString(text)
	case "fill":
		os.Stdout.WriteString(strings.Repeat("f", number))
	case "err":
		fmt.Fprintln(os.Stderr, arg)
	case "env":
		env := os.Environ()
		slices.Sort(env)
		fmt.Println(strings.Join(env, "\n"))
	case "args":
		for _, a := range os.Args {
			fmt.Printf("%q\n", a)
		}
	case "read":
		io.Copy(os.Stdout, in)
	case "close":
		syscall.Close(number)
	case "sleep":
		d, _ := time.ParseDuration(arg)
		time.Sleep(d)
	case "exit":
		os.Exit(number)
	case "panic":
		panic(arg)
	}
}

func main() {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadString('\n')
		verb, arg, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		step(verb, arg, in)
		if err != nil {
			return
		}
	}
}
