import { Duration } from 'aws-cdk-lib'
import type { CfnFunction } from 'aws-cdk-lib/aws-lambda'
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions'
import { Construct } from 'constructs'
import type { Doors } from './api.ts'
import { HouseFunction } from './constructs/house-function.ts'

import { ErasureFlow } from './erasure-flow.ts'
import { IngestionFlow } from './ingestion-flow.ts'
import type { Storage } from './storage.ts'

/** Community data clubs: the doors of the API, and the flow from an upload to a new version. */
export class Datanets extends Construct {
  readonly doors: Doors
  readonly ingestion: IngestionFlow

  constructor(scope: Construct, id: string, { storage, buildShard }: { storage: Storage; buildShard: HouseFunction }) {
    super(scope, id)
    const { stateMachine: erasure } = new ErasureFlow(this, 'Erasure', { storage, buildShard })
    this.doors = this.#doors(storage, erasure)
    this.ingestion = new IngestionFlow(this, 'Ingestion', { data: storage.data, ...this.#steps(storage), buildShard })
    storage.data.addLifecycleRule({
      id: 'expire-ingestion-work',
      prefix: 'ingestion/',
      expiration: Duration.days(7),
      noncurrentVersionExpiration: Duration.days(1),
    })
  }

  #doors({ registry, data }: Storage, erasure: StateMachine): Doors {
    const environment = { REGISTRY_TABLE: registry.tableName }
    const withData = { ...environment, DATA_BUCKET: data.bucketName }
    const door = (name: string, verb: string, description: string, needsData = false) =>
      new HouseFunction(this, name, {
        door: `datanets/${verb}`,
        description,
        environment: needsData ? withData : environment,
      }).allow(['dynamodb:GetItem'], [registry.tableArn])
    // A presigned URL is worth what its signer may do: these may put into the quarantine, and nowhere else.
    const upload = (name: string, verb: string, description: string) =>
      door(name, verb, description, true).allow(
        ['s3:PutObject', 's3:ListMultipartUploadParts'],
        [data.arnForObjects('quarantine/*')],
      )
    return {
      createDatanet: door('Create', 'create-datanet', 'Founds a Datanet').allow(
        ['dynamodb:PutItem'],
        [registry.tableArn],
      ),
      listDatanets: door('List', 'list-datanets', 'All Datanets').allow(
        ['dynamodb:Query'],
        [`${registry.tableArn}/index/GSI1`],
      ),
      getDatanet: door('Get', 'get-datanet', 'One Datanet'),
      joinDatanet: door('Join', 'join-datanet', 'Makes a member').allow(['dynamodb:PutItem'], [registry.tableArn]),
      contribute: upload('Contribute', 'contribute', 'Announces an upload').allow(
        ['dynamodb:PutItem'],
        [registry.tableArn],
      ),
      resumeUpload: upload('Resume', 'resume-upload', 'Fresh URLs for what has not arrived').allow(
        ['dynamodb:UpdateItem'],
        [registry.tableArn],
      ),
      completeUpload: upload('Complete', 'complete-upload', 'Assembles a multipart upload'),
      getContribution: door('GetContribution', 'get-contribution', 'State of a contribution'),
      withdrawContribution: new HouseFunction(this, 'Withdraw', {
        door: 'datanets/withdraw-contribution',
        description: 'Takes a contribution or rows of it back',
        environment: { ...environment, ERASURE_STATE_MACHINE_ARN: erasure.stateMachineArn },
      })
        .allow(['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'], [registry.tableArn])
        .allow(['states:StartExecution'], [erasure.stateMachineArn]),
      listRejectedRows: door('RejectedRows', 'list-rejected-rows', 'Rejected rows with their reasons', true)
        .allow(['s3:GetObject', 's3:GetObjectVersion'], [data.arnForObjects('datanets/*/rejected.jsonl')])
        .allow(['s3:ListBucket'], [data.bucketArn]),
      listVersions: door('Versions', 'list-versions', 'Versions of a Datanet').allow(
        ['dynamodb:Query'],
        [registry.tableArn],
      ),
      getVersion: door('GetVersion', 'get-version', 'Manifest of a version', true).allow(
        ['s3:GetObject'],
        [data.arnForObjects('datanets/*/versions/*')],
      ),
    }
  }

  #steps({ registry, data }: Storage) {
    const environment = { REGISTRY_TABLE: registry.tableName, DATA_BUCKET: data.bucketName }
    const step = (name: string, verb: string, description: string, memoryMb: number, timeout: Duration) =>
      new HouseFunction(this, name, { door: `datanets/${verb}`, description, environment, memoryMb, timeout })
    const work = data.arnForObjects('ingestion/*')
    const quarantine = data.arnForObjects('quarantine/*')
    const begin = step('Begin', 'begin-ingestion', 'Claims an upload and plans its chunks', 1024, Duration.minutes(15))
      .allow(['dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'], [registry.tableArn])
      .allow(['s3:GetObject', 's3:GetObjectVersion'], [quarantine])
      .allow(['s3:ListBucket'], [data.bucketArn])
      .allow(['s3:PutObject'], [work])
    const split = step('Split', 'split-rows', 'Splits and checks one chunk', 1769, Duration.minutes(4))
      .allow(['s3:GetObject', 's3:GetObjectVersion'], [quarantine])
      .allow(['s3:ListBucket'], [data.bucketArn])
      .allow(['s3:PutObject'], [work])
    const deduplicate = step(
      'Deduplicate',
      'deduplicate-rows',
      'Finds copies and near-copies',
      3008,
      Duration.minutes(15),
    )
      .allow(['dynamodb:GetItem', 'dynamodb:Query'], [registry.tableArn])
      .allow(['s3:GetObject'], [work, data.arnForObjects('datanets/*')])
      .allow(['s3:PutObject'], [data.arnForObjects('datanets/*/parts/*')])
    // The largest upload, its accepted rows and their signatures wait in /tmp: about three times 1 GiB.
    ;(deduplicate.node.defaultChild as CfnFunction).ephemeralStorage = { size: 6144 }
    const commit = step('Commit', 'commit-version', 'Publishes a version', 512, Duration.minutes(2))
      .allow(
        ['dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'],
        [registry.tableArn],
      )
      .allow(['s3:GetObject', 's3:PutObject'], [data.arnForObjects('datanets/*/versions/*')])
    const fail = new HouseFunction(this, 'Fail', {
      door: 'datanets/fail-ingestion',
      description: 'Records why an upload was refused',
      environment: { REGISTRY_TABLE: registry.tableName },
    }).allow(['dynamodb:GetItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'], [registry.tableArn])
    return { begin, split, deduplicate, commit, fail }
  }
}
