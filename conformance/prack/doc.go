// Package prack tests queues with workers that behave like Prack's published clients:
// calls, their order and messages are those of its examples for Node.js, Ruby with Rack,
// and PHP. The programs are our own. A test is skipped if Ruby or PHP is not installed.
package prack
