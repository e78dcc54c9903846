package snapshot

import "fmt"

// Piece is a part of a memory. All bytes outside of pieces are zero.
type Piece struct {
	Offset int
	Bytes  []byte
}

// PieceBytes divides the offsets and sizes of the pieces of an Image: the smallest host page.
const PieceBytes = 4 << 10

// piecesOf returns the parts of mem that are not zero, in order, without copying them.
func piecesOf(mem []byte) (pieces []Piece) {
	begin := -1
	for at := 0; at < len(mem); at += PieceBytes {
		switch zero := isZero(mem[at : at+PieceBytes]); {
		case !zero && begin < 0:
			begin = at
		case zero && begin >= 0:
			pieces = append(pieces, Piece{begin, mem[begin:at]})
			begin = -1
		}
	}
	if begin >= 0 {
		pieces = append(pieces, Piece{begin, mem[begin:]})
	}
	return pieces
}

// end returns the end of the last piece.
func end(pieces []Piece) int {
	if len(pieces) == 0 {
		return 0
	}
	last := pieces[len(pieces)-1]
	return last.Offset + len(last.Bytes)
}

// checkPieces returns an error unless the pieces are those of a memory of a size, in order.
func checkPieces(sizeBytes int, pieces []Piece) error {
	from := 0
	for _, p := range pieces {
		if p.Offset < from || p.Offset%PieceBytes != 0 || len(p.Bytes) == 0 || len(p.Bytes)%PieceBytes != 0 || p.Offset > sizeBytes-len(p.Bytes) {
			return fmt.Errorf("snapshot: a piece of %d bytes at %d, after the end of another at %d, in a memory of %d", len(p.Bytes), p.Offset, from, sizeBytes)
		}
		from = p.Offset + len(p.Bytes)
	}
	return nil
}

// Pieces returns the parts of the image that are not zero, in order. They are valid until the image is closed.
func (im *Image) Pieces() []Piece { return piecesOf(im.golden.contents) }

// Rebuild makes an image of the size from its pieces, in order.
func (r *Restorer) Rebuild(sizeBytes int, pieces []Piece) (*Image, error) {
	if sizeBytes < 0 || sizeBytes%pageBytes != 0 {
		return nil, fmt.Errorf("snapshot: an image of %d bytes: not a multiple of %d", sizeBytes, pageBytes)
	}
	if err := checkPieces(sizeBytes, pieces); err != nil {
		return nil, err
	}
	return r.build(sizeBytes, pieces)
}
