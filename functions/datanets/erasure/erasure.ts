import * as z from 'zod'
import { ContributionId, DatanetId } from '#schema/ids'

/** Input of the erasure flow. */
export const Erasure = z.object({ datanetId: DatanetId, contributionId: ContributionId })
