// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DatanetRegistry} from "../src/DatanetRegistry.sol";
import {IEpochClock, ModelRegistry} from "../src/ModelRegistry.sol";
import {IDatanetRegistry} from "../src/interfaces/IDatanetRegistry.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {SettlementFixture} from "./SettlementFixture.sol";

contract DatanetRegistryTest is SettlementFixture {
    bytes32 private constant ID = keccak256("dn_1");
    bytes32 private constant LICENCE = keccak256("CC-BY-4.0");
    DatanetRegistry private registry;

    function setUp() public override {
        super.setUp();
        registry = new DatanetRegistry();
        vm.prank(bob);
        registry.register(ID, carol, LICENCE, "https://example.org/licence");
    }

    function test_RegisteredDatanetReadsBack() external view {
        IDatanetRegistry.Datanet memory d = registry.datanet(ID);
        assertEq(d.owner, bob);
        assertEq(d.curator, carol);
        assertEq(d.licenceHash, LICENCE);
        assertEq(d.licenceUri, "https://example.org/licence");
    }

    function test_RevertWhen_RegistrationInvalid() external {
        vm.expectRevert(IDatanetRegistry.ZeroId.selector);
        registry.register(0, carol, LICENCE, "");
        vm.expectRevert(IDatanetRegistry.ZeroAddress.selector);
        registry.register(DATA, address(0), LICENCE, "");
        vm.expectRevert(IDatanetRegistry.ZeroHash.selector);
        registry.register(DATA, carol, 0, "");
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.DatanetExists.selector, ID));
        registry.register(ID, carol, LICENCE, "");
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.UnknownDatanet.selector, DATA));
        registry.datanet(DATA);
    }

    function test_OwnershipMovesInTwoSteps() external {
        vm.prank(bob);
        registry.offerOwnership(ID, alice);
        assertEq(registry.datanet(ID).owner, bob);
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.NotOffered.selector, ID, address(this)));
        registry.acceptOwnership(ID);
        vm.prank(alice);
        registry.acceptOwnership(ID);
        assertEq(registry.datanet(ID).owner, alice);
        assertEq(registry.datanet(ID).pendingOwner, address(0));
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.NotOwner.selector, ID, bob));
        registry.setCurator(ID, bob);
    }

    function test_OwnerChangesCuratorAndLicence() external {
        vm.startPrank(bob);
        vm.expectRevert(IDatanetRegistry.ZeroAddress.selector);
        registry.setCurator(ID, address(0));
        registry.setCurator(ID, alice);
        vm.expectRevert(IDatanetRegistry.ZeroHash.selector);
        registry.setLicence(ID, 0, "");
        registry.setLicence(ID, DATA, "x");
        assertEq(registry.datanet(ID).curator, alice);
        assertEq(registry.datanet(ID).licenceHash, DATA);
    }

    function test_VersionsAreAppended() external {
        vm.startPrank(carol);
        registry.publishVersion(ID, 1, RECEIPTS, 10, DATA);
        registry.publishVersion(ID, 2, DATA, 12, RECEIPTS);
        assertEq(registry.versionCount(ID), 2);
        IDatanetRegistry.Version memory first = registry.version(ID, 1);
        assertEq(first.manifestRoot, RECEIPTS);
        assertEq(first.rows, 10);
        assertEq(first.publishedAt, block.timestamp);
        assertEq(registry.version(ID, 2).dataHash, RECEIPTS);
    }

    function test_RevertWhen_VersionInvalid() external {
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.NotCurator.selector, ID, address(this)));
        registry.publishVersion(ID, 1, RECEIPTS, 10, DATA);
        vm.startPrank(carol);
        vm.expectRevert(IDatanetRegistry.ZeroHash.selector);
        registry.publishVersion(ID, 1, 0, 10, DATA);
        vm.expectRevert(IDatanetRegistry.ZeroHash.selector);
        registry.publishVersion(ID, 1, DATA, 10, 0);
        vm.expectRevert(IDatanetRegistry.EmptyVersion.selector);
        registry.publishVersion(ID, 1, DATA, 0, DATA);
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.WrongVersion.selector, 1, 2));
        registry.publishVersion(ID, 2, DATA, 1, DATA);
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.WrongVersion.selector, 0, 0));
        registry.version(ID, 0);
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.WrongVersion.selector, 0, 1));
        registry.version(ID, 1);
    }

    function _consent(bytes32 licence, bytes32 commitment, uint256 deadline) private view returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("OpenLedger DatanetRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        bytes32 content =
            keccak256(abi.encode(registry.CONTRIBUTION_TYPEHASH(), ID, alice, commitment, licence, deadline));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(aliceKey, keccak256(abi.encodePacked(hex"1901", domain, content)));
        return abi.encodePacked(r, s, v);
    }

    function test_ConsentIsRecordedOnce() external {
        uint256 deadline = block.timestamp;
        bytes memory signature = _consent(LICENCE, DATA, deadline);
        registry.contribute(ID, alice, DATA, deadline, signature);
        assertEq(registry.contributorOf(ID, DATA), alice);
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.CommitmentExists.selector, DATA));
        registry.contribute(ID, alice, DATA, deadline, signature);
    }

    function test_RevertWhen_ConsentInvalid() external {
        uint256 deadline = block.timestamp;
        bytes memory signature = _consent(LICENCE, DATA, deadline);
        vm.expectRevert(IDatanetRegistry.ZeroHash.selector);
        registry.contribute(ID, alice, 0, deadline, signature);
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.SignatureInvalid.selector, bob));
        registry.contribute(ID, bob, DATA, deadline, signature);
        vm.prank(bob);
        registry.setLicence(ID, RECEIPTS, ""); // the consent named the old terms
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.SignatureInvalid.selector, alice));
        registry.contribute(ID, alice, DATA, deadline, signature);
        skip(1);
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.SignatureExpired.selector, deadline));
        registry.contribute(ID, alice, DATA, deadline, signature);
        vm.expectRevert(abi.encodeWithSelector(IDatanetRegistry.UnknownDatanet.selector, DATA));
        registry.contribute(DATA, alice, DATA, block.timestamp, signature);
    }
}

contract ModelRegistryTest is SettlementFixture {
    bytes32 private constant ID = keccak256("adapter");
    ModelRegistry private registry;

    function setUp() public override {
        super.setUp();
        registry = new ModelRegistry(IEpochClock(address(settlement)));
        vm.prank(bob);
        registry.register(ID, _adapter(), _split(3_000, 0, 7_000));
    }

    function _adapter() private pure returns (IModelRegistry.Adapter memory record) {
        bytes32[] memory roots = new bytes32[](1);
        roots[0] = DATA;
        return IModelRegistry.Adapter(address(0), DATA, RECEIPTS, DATA, RECEIPTS, roots);
    }

    function _split(uint16 owner, uint16 stakers, uint16 contributors) private pure returns (IModelRegistry.Split memory) {
        return IModelRegistry.Split(owner, stakers, contributors, address(0));
    }

    function test_RegisteredAdapterReadsBack() external {
        IModelRegistry.Adapter memory record = registry.adapter(ID);
        assertEq(record.owner, bob);
        assertEq(record.artefactHash, RECEIPTS);
        assertEq(record.datanetRoots[0], DATA);
        assertEq(registry.splitAt(ID, 1).contributors, 7_000);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownAdapter.selector, DATA));
        registry.adapter(DATA);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NoSplit.selector, DATA, 1));
        registry.splitAt(DATA, 1);
    }

    function test_RevertWhen_RegistrationInvalid() external {
        IModelRegistry.Split memory split = _split(3_000, 0, 7_000);
        vm.expectRevert(IModelRegistry.ZeroId.selector);
        registry.register(0, _adapter(), split);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AdapterExists.selector, ID));
        registry.register(ID, _adapter(), split);
        for (uint256 i = 0; i < 5; ++i) {
            IModelRegistry.Adapter memory record = _adapter();
            if (i == 0) record.base = 0;
            if (i == 1) record.artefactHash = 0;
            if (i == 2) record.methodHash = 0;
            if (i == 3) record.parameterHash = 0;
            if (i == 4) record.datanetRoots[0] = 0;
            vm.expectRevert(IModelRegistry.ZeroHash.selector);
            registry.register(DATA, record, split);
        }
        IModelRegistry.Adapter memory none = _adapter();
        none.datanetRoots = new bytes32[](0);
        vm.expectRevert(IModelRegistry.NoDatanets.selector);
        registry.register(DATA, none, split);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.SplitInvalid.selector, 9_999));
        registry.register(DATA, _adapter(), _split(2_999, 0, 7_000));
        vm.expectRevert(IModelRegistry.StakersWithoutPayee.selector);
        registry.register(DATA, _adapter(), _split(2_000, 1_000, 7_000));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.SplitInvalid.selector, 196_605));
        registry.register(DATA, _adapter(), _split(65_535, 65_535, 65_535));
    }

    function test_SplitTakesEffectALaterEpoch() external {
        _settle(0); // epoch 1 is active, 2 is open under the old split
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.EpochNotLater.selector, 3, 2));
        registry.setSplit(ID, 2, _split(1_000, 0, 9_000));
        registry.setSplit(ID, 3, _split(1_000, 0, 9_000));
        registry.setSplit(ID, 5, _split(5_000, 0, 5_000));
        registry.setSplit(ID, 5, _split(4_000, 0, 6_000)); // replaces
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.EpochNotLater.selector, 5, 4));
        registry.setSplit(ID, 4, _split(1_000, 0, 9_000));
        assertEq(registry.splitAt(ID, 2).owner, 3_000);
        assertEq(registry.splitAt(ID, 3).owner, 1_000);
        assertEq(registry.splitAt(ID, 4).owner, 1_000);
        assertEq(registry.splitAt(ID, 5).owner, 4_000);
        assertEq(registry.splitAt(ID, 99).owner, 4_000);
    }

    function test_RevertWhen_SplitIsSetByOthers() external {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotOwner.selector, ID, address(this)));
        registry.setSplit(ID, 9, _split(1_000, 0, 9_000));
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownAdapter.selector, DATA));
        registry.setSplit(DATA, 9, _split(1_000, 0, 9_000));
    }

    function test_OwnershipMovesInTwoSteps() external {
        vm.prank(bob);
        registry.offerOwnership(ID, alice);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotOffered.selector, ID, address(this)));
        registry.acceptOwnership(ID);
        vm.prank(alice);
        registry.acceptOwnership(ID);
        assertEq(registry.adapter(ID).owner, alice);
        assertEq(registry.pendingOwner(ID), address(0));
    }
}
