// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IDatanetRegistry} from "./interfaces/IDatanetRegistry.sol";

/// @title Record of Datanets (specified in IDatanetRegistry).
contract DatanetRegistry is IDatanetRegistry, EIP712 {
    bytes32 public constant CONTRIBUTION_TYPEHASH = keccak256(
        "Contribution(bytes32 datanet,address contributor,bytes32 commitment,bytes32 licenceHash,uint256 deadline)"
    );

    mapping(bytes32 id => Datanet) private _datanets;
    mapping(bytes32 id => Version[]) private _versions;
    mapping(bytes32 id => mapping(bytes32 commitment => address)) public contributorOf;

    constructor() EIP712("OpenLedger DatanetRegistry", "1") {}

    /// @inheritdoc IDatanetRegistry
    function register(bytes32 id, address curator, bytes32 licenceHash, string calldata licenceUri) external {
        if (id == 0) revert ZeroId();
        if (curator == address(0)) revert ZeroAddress();
        if (licenceHash == 0) revert ZeroHash();
        if (_datanets[id].owner != address(0)) revert DatanetExists(id);
        _datanets[id] = Datanet(msg.sender, address(0), curator, licenceHash, licenceUri);
        emit DatanetRegistered(id, msg.sender, curator, licenceHash, licenceUri);
    }

    /// @inheritdoc IDatanetRegistry
    function offerOwnership(bytes32 id, address to) external {
        _owned(id).pendingOwner = to;
        emit OwnershipOffered(id, to);
    }

    /// @inheritdoc IDatanetRegistry
    function acceptOwnership(bytes32 id) external {
        Datanet storage record = _known(id);
        if (record.pendingOwner != msg.sender) revert NotOffered(id, msg.sender);
        record.owner = msg.sender;
        record.pendingOwner = address(0);
        emit OwnerChanged(id, msg.sender);
    }

    /// @inheritdoc IDatanetRegistry
    function setCurator(bytes32 id, address curator) external {
        if (curator == address(0)) revert ZeroAddress();
        _owned(id).curator = curator;
        emit CuratorChanged(id, curator);
    }

    /// @inheritdoc IDatanetRegistry
    function setLicence(bytes32 id, bytes32 licenceHash, string calldata licenceUri) external {
        if (licenceHash == 0) revert ZeroHash();
        Datanet storage record = _owned(id);
        record.licenceHash = licenceHash;
        record.licenceUri = licenceUri;
        emit LicenceChanged(id, licenceHash, licenceUri);
    }

    /// @inheritdoc IDatanetRegistry
    function publishVersion(bytes32 id, uint256 number, bytes32 manifestRoot, uint64 rows, bytes32 dataHash) external {
        if (_known(id).curator != msg.sender) revert NotCurator(id, msg.sender);
        if (manifestRoot == 0 || dataHash == 0) revert ZeroHash();
        if (rows == 0) revert EmptyVersion();
        Version[] storage list = _versions[id];
        if (number != list.length + 1) revert WrongVersion(list.length + 1, number);
        list.push(Version(manifestRoot, dataHash, rows, uint64(block.timestamp)));
        emit VersionPublished(id, number, manifestRoot, rows, dataHash);
    }

    /// @inheritdoc IDatanetRegistry
    function contribute(bytes32 id, address contributor, bytes32 commitment, uint256 deadline, bytes calldata signature)
        external
    {
        bytes32 licenceHash = _known(id).licenceHash;
        if (commitment == 0) revert ZeroHash();
        if (block.timestamp > deadline) revert SignatureExpired(deadline);
        if (contributorOf[id][commitment] != address(0)) revert CommitmentExists(commitment);
        bytes32 digest = _hashTypedDataV4(
            keccak256(abi.encode(CONTRIBUTION_TYPEHASH, id, contributor, commitment, licenceHash, deadline))
        );
        if (!SignatureChecker.isValidSignatureNow(contributor, digest, signature)) revert SignatureInvalid(contributor);
        contributorOf[id][commitment] = contributor;
        emit Contributed(id, contributor, commitment);
    }

    /// @inheritdoc IDatanetRegistry
    function datanet(bytes32 id) external view returns (Datanet memory) {
        return _known(id);
    }

    /// @inheritdoc IDatanetRegistry
    function versionCount(bytes32 id) external view returns (uint256) {
        return _versions[id].length;
    }

    /// @inheritdoc IDatanetRegistry
    function version(bytes32 id, uint256 number) external view returns (Version memory) {
        uint256 count = _versions[id].length;
        if (number == 0 || number > count) revert WrongVersion(count, number);
        return _versions[id][number - 1];
    }

    function _known(bytes32 id) private view returns (Datanet storage record) {
        record = _datanets[id];
        if (record.owner == address(0)) revert UnknownDatanet(id);
    }

    function _owned(bytes32 id) private view returns (Datanet storage record) {
        record = _known(id);
        if (record.owner != msg.sender) revert NotOwner(id, msg.sender);
    }
}
