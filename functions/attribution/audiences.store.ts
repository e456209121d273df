import { keys } from '#registry/keys'
import type { Records } from '#registry/records.store'
import { Datanet, Member } from '#schema/datanets'
import type { Audience } from './span-texts.ts'

/** What each Datanet's policy says about the texts of spans, and whether the account is a member there. */
export const audiencesOf = async (
  records: Records,
  datanetIds: Iterable<string>,
  accountId: string,
): Promise<Map<string, Audience>> =>
  new Map(
    await Promise.all(
      [...new Set(datanetIds)].map(async (id) => {
        const [datanet, member] = await Promise.all([
          records.get(Datanet, keys.datanet(id), 'Datanet'),
          records.find(Member, keys.member(id, accountId)),
        ])
        return [id, { spanTexts: datanet.spanTexts, isMember: member !== undefined }] as const
      }),
    ),
  )
