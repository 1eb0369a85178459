// Package durable puts files and folders into their places so that a name stands for the former content or for the new one and never for a part of either, whenever the process dies or the power fails.
//
// The steps and their order are the ones that fsync(2), rename(2) and the study of Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), ask for: write a new file beside the old one, wait until its content is on the
// disk, rename it, and wait until the folder that holds the name is on the disk. Left out, the first wait can leave a name with nothing behind it, and the second can bring the former content back after somebody was told of the new one.
// A test carries the steps out on a machine that loses power between any two of them, with whatever of the unfinished writes on its disk, and fails where a wait is left out.
//
// What a killed process leaves behind is a hidden file or folder beside the place. A symbolic link at the place is replaced, not followed.
package durable
