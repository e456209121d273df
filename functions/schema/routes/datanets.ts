import * as z from 'zod'
import {
  Contribute,
  Contribution,
  CreateDatanet,
  Datanet,
  DatanetVersion,
  Member,
  RejectedRow,
  Withdraw,
  Withdrawal,
} from '../datanets.ts'
import { ContributionId, DatanetId } from '../ids.ts'
import { Page, PresignedPut, page, type Route } from './route.ts'

const datanet = z.strictObject({ datanetId: DatanetId })
const contribution = z.strictObject({ datanetId: DatanetId, contributionId: ContributionId })

const UploadPart = z.strictObject({
  part: z.number().int().min(1),
  start: z.number().int(),
  end: z.number().int(),
  url: z.string(),
  done: z.boolean(),
})
export const UploadPlan = z.strictObject({
  contribution: Contribution,
  expiresAt: z.iso.datetime(),
  put: PresignedPut.optional(),
  multipart: z
    .strictObject({ uploadId: z.string(), partBytes: z.number().int(), parts: z.array(UploadPart) })
    .optional(),
})

export const DATANET_ROUTES = {
  createDatanet: {
    method: 'POST',
    path: '/datanets',
    door: 'datanets/create-datanet',
    access: 'person',
    summary: 'Found a Datanet; the caller is its curator',
    body: CreateDatanet,
    reply: Datanet,
    status: 201,
  },
  listDatanets: {
    method: 'GET',
    path: '/datanets',
    door: 'datanets/list-datanets',
    access: 'any',
    summary: 'All Datanets',
    query: z.strictObject(Page),
    reply: page(Datanet),
  },
  getDatanet: {
    method: 'GET',
    path: '/datanets/{datanetId}',
    door: 'datanets/get-datanet',
    access: 'any',
    summary: 'One Datanet',
    params: datanet,
    reply: Datanet,
  },
  joinDatanet: {
    method: 'POST',
    path: '/datanets/{datanetId}/members',
    door: 'datanets/join-datanet',
    access: 'person',
    summary: 'Join as a contributor',
    params: datanet,
    reply: Member,
    status: 201,
  },
  contribute: {
    method: 'POST',
    path: '/datanets/{datanetId}/contributions',
    door: 'datanets/contribute',
    access: 'person',
    summary: 'Announce an upload and get presigned URLs',
    params: datanet,
    body: Contribute,
    reply: UploadPlan,
    status: 201,
  },
  getContribution: {
    method: 'GET',
    path: '/datanets/{datanetId}/contributions/{contributionId}',
    door: 'datanets/get-contribution',
    access: 'person',
    summary: 'State of a contribution',
    params: contribution,
    reply: Contribution,
  },
  resumeUpload: {
    method: 'POST',
    path: '/datanets/{datanetId}/contributions/{contributionId}/resume',
    door: 'datanets/resume-upload',
    access: 'person',
    summary: 'Fresh URLs for what has not arrived',
    params: contribution,
    reply: UploadPlan,
  },
  completeUpload: {
    method: 'POST',
    path: '/datanets/{datanetId}/contributions/{contributionId}/complete',
    door: 'datanets/complete-upload',
    access: 'person',
    summary: 'Assemble a multipart upload',
    params: contribution,
    reply: Contribution,
  },
  withdrawContribution: {
    method: 'POST',
    path: '/datanets/{datanetId}/contributions/{contributionId}/withdraw',
    door: 'datanets/withdraw-contribution',
    access: 'person',
    summary: 'Take a contribution, or some of its rows, back for good',
    params: contribution,
    body: Withdraw,
    reply: Withdrawal,
    status: 202,
  },
  listRejectedRows: {
    method: 'GET',
    path: '/datanets/{datanetId}/contributions/{contributionId}/rejected-rows',
    door: 'datanets/list-rejected-rows',
    access: 'person',
    summary: 'Rejected rows with their reasons',
    params: contribution,
    query: z.strictObject(Page),
    reply: page(RejectedRow),
  },
  listVersions: {
    method: 'GET',
    path: '/datanets/{datanetId}/versions',
    door: 'datanets/list-versions',
    access: 'any',
    summary: 'Versions of a Datanet',
    params: datanet,
    query: z.strictObject(Page),
    reply: page(
      z.strictObject({
        version: z.number().int(),
        root: z.string(),
        rows: z.number().int(),
        createdAt: z.iso.datetime(),
      }),
    ),
  },
  getVersion: {
    method: 'GET',
    path: '/datanets/{datanetId}/versions/{version}',
    door: 'datanets/get-version',
    access: 'any',
    summary: 'Manifest of a version',
    params: datanet.extend({ version: z.coerce.number().int().min(1) }),
    reply: DatanetVersion,
  },
} as const satisfies Record<string, Route>
