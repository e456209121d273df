import { createHash } from 'node:crypto'
import type * as z from 'zod'
import type { Contribute, Contribution } from '#schema/datanets'
import { OpenLedgerError } from '#schema/errors'
import { LIMITS } from '../formats/limits.ts'
import { MULTIPART_ABOVE } from './part-ranges.ts'

type Announcement = z.output<typeof Contribute>

/** What can be refused before a byte is sent. */
export const checkAnnouncement = ({ bytes, contentType, filename }: Announcement): void => {
  if (bytes > LIMITS.maxUploadBytes)
    throw new OpenLedgerError(
      'payload-too-large',
      `${bytes} bytes; one contribution takes at most ${LIMITS.maxUploadBytes}. Split it.`,
      { param: 'bytes' },
    )
  if (!/^[a-z0-9.+-]+\/[a-z0-9.+-]+( ?; ?[a-z0-9-]+=[a-z0-9."_-]+)*$/i.test(contentType))
    throw new OpenLedgerError('unsupported-media-type', 'The content type is not like type/subtype.', {
      param: 'contentType',
    })
  if (/\.(zip|gz|tgz|zst|bz2|xz|7z|rar|tar|lz4)$/i.test(filename))
    throw new OpenLedgerError('unsupported-media-type', 'Archives are not taken: upload the file itself, unpacked.', {
      param: 'filename',
    })
}

/** With an Idempotency-Key the same call names the same contribution. */
export const contributionIdOf = (
  accountId: string,
  datanetId: string,
  idempotencyKey: string | undefined,
  fresh: () => string,
): string =>
  idempotencyKey
    ? `ctr_${createHash('sha256').update(`${accountId}\n${datanetId}\n${idempotencyKey}`).digest('hex').slice(0, 24)}`
    : fresh()

export const needsParts = ({ bytes }: Pick<Contribution, 'bytes'>): boolean => bytes > MULTIPART_ABOVE
