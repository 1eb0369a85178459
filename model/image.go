package model

import "image"

// Patches cuts a picture into squares of size by size pixels, row by row from the upper left, and returns the values of all of them and how many there are: red, green and blue of each pixel, from -1 to 1, as a network with nn.Config.Patch of 3·size² takes them (Dosovitskiy et al. 2021).
// Squares that reach over the right or lower edge are filled up with 0, which is grey. The prompt has nn.PatchInput once for each, and training gives none of them a target.
func Patches(picture image.Image, size int) (values []float32, count int) {
	b := picture.Bounds()
	if size < 1 || b.Empty() {
		return nil, 0
	}
	across, down := (b.Dx()+size-1)/size, (b.Dy()+size-1)/size
	values = make([]float32, across*down*3*size*size)
	for y := range b.Dy() {
		for x := range b.Dx() {
			square := y/size*across + x/size
			at := (square*size*size + y%size*size + x%size) * 3
			red, green, blue, _ := picture.At(b.Min.X+x, b.Min.Y+y).RGBA()
			for i, c := range [3]uint32{red, green, blue} {
				values[at+i] = float32(c)/0xffff*2 - 1
			}
		}
	}
	return values, across * down
}
