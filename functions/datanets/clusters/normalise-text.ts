/**
 * The form in which texts are compared: Unicode compatibility composition, full case folding, characters that nobody
 * sees removed, every run of white space one space. It is NFKC_Casefold (Unicode 17, 3.13) with case folding by way of
 * upper case, so that sharp s equals ss (lower first: capital sharp s is its own upper case); applied twice it changes nothing.
 */
export const normaliseText = (text: string): string => {
  const folded = text.normalize('NFKC').replace(INVISIBLE, '').toLowerCase().toUpperCase().toLowerCase()
  return folded.normalize('NFKC').toLowerCase().normalize('NFKC').replace(SPACES, ' ').trim()
}

/** Zero-width joiners, soft hyphens, byte order marks, variation selectors: a copy with these strewn in is a copy. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu
const SPACES = /[\p{White_Space}\p{Cc}]+/gu
