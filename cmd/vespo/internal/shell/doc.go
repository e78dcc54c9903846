// Package shell completes command lines in bash, zsh and fish.
//
// The scripts of the shells hold no names. They call the program with the words up to the cursor, and it prints the
// candidates from its own model of the command line. So an installed script stays right when the program changes.
package shell
