export interface PartRange {
  part: number
  start: number
  end: number
}

/** Uploads above this go in parts, which can be resumed one by one. */
export const MULTIPART_ABOVE = 100 * 1024 * 1024
const PART_BYTES = 16 * 1024 * 1024
/** S3 takes at most 10,000 parts (S3 user guide, "Multipart upload limits"). */
const MOST_PARTS = 10_000

export const partBytesOf = (bytes: number): number => Math.max(PART_BYTES, Math.ceil(bytes / MOST_PARTS))

/** The byte ranges of an upload's parts, numbered from 1. */
export const partRanges = (bytes: number): PartRange[] => {
  const size = partBytesOf(bytes)
  return Array.from({ length: Math.ceil(bytes / size) }, (_, index) => ({
    part: index + 1,
    start: index * size,
    end: Math.min(bytes, (index + 1) * size),
  }))
}
