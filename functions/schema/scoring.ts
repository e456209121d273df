/** Where scoring requests and what becomes of them lie in the receipts bucket. Requests hold tokens: they expire like transcripts. */
export const scoringPlaces = {
  asked: 'scoring/asked/',
  answers: 'scoring/answers/',
  failures: 'scoring/failures/',
} as const
