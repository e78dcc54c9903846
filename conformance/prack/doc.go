// Package prack tests queues with workers that do as Prack's published clients do: the calls, their order and the messages are those of its
// examples for Node.js, Ruby with Rack, and PHP; the programs are our own. Where Ruby or PHP is not installed, its test is skipped.
package prack
